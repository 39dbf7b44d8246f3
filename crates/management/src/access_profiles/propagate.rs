mod groups;
mod restarts;

use std::collections::BTreeSet;

use serde::Serialize;
use tollgate_domain::access::profile::AccessProfile;
use tollgate_domain::ids::{ProfileId, TeamId, UserId};
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::copies::StoredCopy;
use tollgate_storage::groups::members;
use tollgate_storage::{PageRequest, Tx, copies};
use utoipa::ToSchema;

use self::groups::{GroupChange, push_groups};
use self::restarts::{Restarts, Step};
use super::changes::{FieldChange, changes};
use super::copying::{Field, take_over};
use super::get_existing;
use super::user_copies::meters;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{AtLeastOne, Existing, FromJson, Node, Problems, body};
use crate::context::{Context, CreateAccessProfiles, Require};
use crate::extract::{Json, Path, count};
use crate::problem::Answer;

/// Copies, and members of a team, that are read at once.
const BATCH: u32 = 500;

body! {
    /// What copies take over from the template.
    struct Propagate {
        /// At least one of `provider_configs`, `budgets`, `rate_limit`, `mcp_tool_groups`, `mcp_servers`,
        /// `mcp_tool_overrides`, `settings`. Calendar alignment and time zone travel with `budgets` and `rate_limit`.
        fields: required AtLeastOne<Field>,
        /// Says what would happen, and does nothing.
        dry_run: optional bool,
        /// Only these users. Left out or empty, and no team named: every holder, also teams, business units and
        /// customers, whose members share a copy.
        user_ids: optional Vec<Existing<UserId>>,
        /// Only members of these teams, and the copies that these teams share.
        group_ids: optional Vec<Existing<TeamId>>,
        /// Whether usage starts at zero. False unless said otherwise.
        reset_usage: optional bool,
    }
}

impl FromJson for Field {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.text(problems, "a field's name")?;
        let found = Self::ALL.into_iter().find(|field| field.as_str() == text);
        if found.is_none() {
            let known = Self::ALL.map(Self::as_str).join("`, `");
            let shown: String = text.chars().take(80).collect();
            problems.invalid(
                node.pointer.as_str(),
                format!("`{shown}` is not one of `{known}`"),
            );
        }
        found
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .into()
    }
}

/// What copies took over, or would take over.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Propagated {
    /// Users whose copy changed, or would change.
    affected_users: u64,
    failed_users: u64,
    /// Users whose copy is as it would become, and named users who do not hold the profile.
    skipped_users: u64,
    /// The affected users.
    user_ids: Vec<String>,
    fields: Vec<&'static str>,
    /// Whether it was done: false for a dry run.
    applied: bool,
    /// Whether usage starts at zero.
    reset_usage: bool,
    vk_sync_errors: Vec<String>,
    /// The teams, business units and customers whose shared copy changed, or would change.
    group_ids: Vec<String>,
    affected_groups: u64,
    /// What would change. Only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<UserChange>>,
    /// What would change of the shared copies. Only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_changes: Option<Vec<GroupChange>>,
}

/// A part of a user's copy that would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserChange {
    user_id: String,
    #[serde(flatten)]
    change: FieldChange,
}

/// Push a profile into its copies
///
/// Usage is kept where the reset durations match; overrides survive. Each holder's copy changes as a whole, and the run
/// is one transaction: it is done for every holder that it names, or for none.
#[utoipa::path(
    post, path = "/access-profiles/{profile_id}/propagate", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0)),
    request_body = Propagate,
    responses((status = 200, body = Propagated), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn propagate_access_profile(
    ctx: Require<CreateAccessProfiles>,
    Path(id): Path<ProfileId>,
    Json(body): Json<Propagate>,
) -> Answer<Json<Propagated>> {
    let mut tx = ctx.begin().await?;
    let profile = get_existing(&mut tx, id).await?;
    let wanted = wanted_users(&mut tx, &body).await?;
    let is_dry = body.dry_run.unwrap_or(false);
    let mut run = push_all(&ctx, &mut tx, &profile, &body, wanted.as_ref()).await?;
    let groups = push_groups(&ctx, &mut tx, &profile, &body, &mut run.restarts).await?;
    let mut answer = run.answer(&body, wanted.as_ref(), is_dry);
    answer.affected_groups = count(&groups.affected);
    answer.group_ids = groups.affected;
    if is_dry {
        answer.changes = Some(std::mem::take(&mut run.changes));
        answer.group_changes = Some(groups.changes);
        tx.rollback().await?;
        return Ok(Json(answer));
    }
    let act = Act::new("propagate", "access_profile", id)
        .about_profile(id)
        .with(&answer)
        .starting_anew(&run.restarts.all());
    ctx.record(&mut tx, act).await?;
    let counted: Vec<_> = run.counted.into_iter().chain(groups.counted).collect();
    ctx.commit_with_resets(tx, Json(answer), &counted).await
}

/// The users that the body names, by themselves and by their teams; `None` = every holder.
async fn wanted_users(tx: &mut Tx, body: &Propagate) -> Answer<Option<BTreeSet<UserId>>> {
    let named = body.user_ids.iter().flatten().map(|Existing(id)| *id);
    let mut users: BTreeSet<UserId> = named.collect();
    let teams = body.group_ids.as_deref().unwrap_or_default();
    if users.is_empty() && teams.is_empty() {
        return Ok(None);
    }
    for Existing(team) in teams {
        let mut page = PageRequest {
            limit: BATCH,
            offset: 0,
        };
        loop {
            let members = members::list(&mut *tx, GroupId::Team(*team), None, page).await?;
            if members.items.is_empty() {
                break;
            }
            users.extend(members.items.into_iter().map(|member| member.user));
            page.offset += u64::from(BATCH);
        }
    }
    Ok(Some(users))
}

/// What a run did so far.
#[derive(Default)]
struct Run {
    seen: u64,
    affected: Vec<UserId>,
    changes: Vec<UserChange>,
    /// What is to be set to zero, by copy.
    counted: Vec<Vec<MeterId>>,
    restarts: Restarts,
}

async fn push_all(
    ctx: &Context,
    tx: &mut Tx,
    profile: &AccessProfile,
    body: &Propagate,
    wanted: Option<&BTreeSet<UserId>>,
) -> Answer<Run> {
    let mut run = Run::default();
    let mut after = None;
    loop {
        let batch = copies::of_profile(&mut *tx, profile.id, after, BATCH).await?;
        let Some(last) = batch.last() else {
            return Ok(run);
        };
        after = Some(last.copy.user_id);
        for stored in batch {
            if wanted.is_none_or(|users| users.contains(&stored.copy.user_id)) {
                push_one(ctx, tx, profile, body, stored, &mut run).await?;
            }
        }
    }
}

async fn push_one(
    ctx: &Context,
    tx: &mut Tx,
    profile: &AccessProfile,
    body: &Propagate,
    stored: StoredCopy,
    run: &mut Run,
) -> Answer<()> {
    run.seen += 1;
    let is_dry = body.dry_run.unwrap_or(false);
    let resets = body.reset_usage.unwrap_or(false);
    let mut new = stored.clone();
    let old = &stored.copy;
    new.copy.content = take_over(old.id.uuid(), &old.content, &profile.content, &body.fields);
    new.copy.name.clone_from(&profile.name);
    new.copy.profile_version = profile.version;
    new.updated_at = ctx.now();
    if new.copy.content == old.content && !resets {
        if !is_dry && new.copy != stored.copy {
            copies::update(tx, &new).await?;
        }
        return Ok(());
    }
    run.affected.push(old.user_id);
    if is_dry {
        let user_id = old.user_id.to_string();
        let differing = changes(&old.content, &new.copy.content)?.into_iter();
        run.changes.extend(differing.map(|change| UserChange {
            user_id: user_id.clone(),
            change,
        }));
        return Ok(());
    }
    copies::update(tx, &new).await?;
    let step = Step {
        before: &old.content,
        after: &new.copy.content,
        anchor: old.assigned_at,
        is_reset: resets,
    };
    run.restarts.note_user(ctx, &step, old.user_id);
    if resets {
        let counted = meters(&new.copy)?.into_iter().map(|meter| meter.id);
        let counted = counted.filter(|id| id.kind != MeterKind::Parallel);
        run.counted.push(counted.collect());
    }
    Ok(())
}

impl Run {
    fn answer(
        &self,
        body: &Propagate,
        wanted: Option<&BTreeSet<UserId>>,
        is_dry: bool,
    ) -> Propagated {
        let affected = count(&self.affected);
        let considered = wanted.map_or(self.seen, |users| {
            u64::try_from(users.len()).unwrap_or(u64::MAX)
        });
        Propagated {
            affected_users: affected,
            failed_users: 0,
            skipped_users: considered.saturating_sub(affected),
            user_ids: self.affected.iter().map(ToString::to_string).collect(),
            fields: body.fields.iter().map(|field| field.as_str()).collect(),
            applied: !is_dry,
            reset_usage: body.reset_usage.unwrap_or(false),
            vk_sync_errors: Vec::new(),
            group_ids: Vec::new(),
            affected_groups: 0,
            changes: None,
            group_changes: None,
        }
    }
}
