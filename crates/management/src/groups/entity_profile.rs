//! The profile of a group: one copy that all members share.

use http::StatusCode;
use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::{CopyId, ProfileId};
use tollgate_domain::snapshot::{GroupId, GroupProfileMode};
use tollgate_storage::groups::profiles::{self, GroupCopy};
use utoipa::ToSchema;

use super::{get_existing, id_text, thing};
use crate::access_profiles;
use crate::access_profiles::copying::{Field, take_over};
use crate::access_profiles::view::view_configs;
use crate::answers::Message;
use crate::audit::Act;
use crate::body::{FromJson, Node, Problems, body};
use crate::context::Context;
use crate::extract::Json;
use crate::limits::{BudgetView, RateLimitView, Readings, StartsAnew};
use crate::problem::{Answer, Problem};
use crate::provider_configs::{ProviderConfigView, view_budgets, view_rate_limit};

body! {
    /// Which profile the group gets.
    struct SetGroupProfile {
        /// The profile's id.
        access_profile_id: required ProfileId,
        /// `unite` (unless said otherwise) adds to the members' own grants, `restrict` caps them.
        mode: optional Mode,
    }
}

/// How a group's profile meets its members' own grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mode(GroupProfileMode);

impl FromJson for Mode {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match node.text(problems, "`unite` or `restrict`")?.as_str() {
            "unite" => Some(Self(GroupProfileMode::Unite)),
            "restrict" => Some(Self(GroupProfileMode::Restrict)),
            _ => {
                problems.invalid(node.pointer.as_str(), "the mode is `unite` or `restrict`");
                None
            }
        }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .enum_values(Some(["unite", "restrict"]))
            .into()
    }
}

/// A group's copy of a profile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupProfileBody {
    access_profile: GroupCopyView,
}

/// A group's copy of a profile, whose counters all members share.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupCopyView {
    id: String,
    group_id: String,
    parent_profile_id: i64,
    name: String,
    /// `unite` or `restrict`.
    mode: &'static str,
    profile_version: i64,
    is_active: bool,
    #[schema(value_type = String, format = DateTime)]
    assigned_at: Timestamp,
    provider_configs: Vec<ProviderConfigView>,
    budgets: Vec<BudgetView>,
    rate_limit: Option<RateLimitView>,
}

pub(super) async fn get(ctx: &Context, id: GroupId) -> Answer<Json<GroupProfileBody>> {
    get_existing(ctx.store(), id).await?;
    let copy = profiles::find(ctx.store(), id)
        .await?
        .ok_or_else(|| none(id))?;
    Ok(body(ctx, &copy))
}

pub(super) async fn set(
    ctx: &Context,
    id: GroupId,
    wanted: SetGroupProfile,
) -> Answer<(StatusCode, Json<GroupProfileBody>)> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    let profile = access_profiles::get_existing(&mut tx, wanted.access_profile_id)
        .await
        .map_err(|problem| problem.at("/access_profile_id"))?;
    if !profile.is_active {
        return Err(Problem::conflict(
            "profile_inactive",
            format!(
                "the access profile `{}` is inactive; activate it first",
                profile.name
            ),
        ));
    }
    let now = ctx.now();
    // A group has one profile: another one is taken away, and its own comes back with its counters.
    profiles::detach(&mut tx, id, now).await?;
    let before = profiles::find_of(&mut tx, id, profile.id).await?;
    let copy_id = before.as_ref().map_or_else(
        || CopyId::from_uuid(ctx.parts().ids.next_uuid()),
        |copy| copy.id,
    );
    let empty = ProfileContent::default();
    let old = before.as_ref().map_or(&empty, |copy| &copy.content);
    let copy = GroupCopy {
        id: copy_id,
        group: id,
        parent_profile_id: profile.id,
        mode: wanted.mode.map_or(GroupProfileMode::Unite, |mode| mode.0),
        name: profile.name.clone(),
        profile_version: profile.version,
        is_active: true,
        assigned_at: before.as_ref().map_or(now, |copy| copy.assigned_at),
        detached_at: None,
        content: take_over(copy_id.uuid(), old, &profile.content, &Field::ALL),
        created_at: before.as_ref().map_or(now, |copy| copy.created_at),
        updated_at: now,
    };
    profiles::put(&mut tx, &copy).await?;
    // Of a copy that is new everything is.
    let restarted = before.map_or_else(Vec::new, |before| {
        StartsAnew::find_live(ctx, &before.content, &copy.content, copy.assigned_at)
    });
    let act = Act::new("assign", "access_profile", profile.id)
        .about_profile(profile.id)
        .with(&serde_json::json!({"group_id": id_text(id), "mode": mode_word(copy.mode)}))
        .starting_anew(&restarted);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, (StatusCode::CREATED, body(ctx, &copy)))
        .await
}

pub(super) async fn remove(ctx: &Context, id: GroupId) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    let copy = profiles::find(&mut tx, id).await?.ok_or_else(|| none(id))?;
    profiles::detach(&mut tx, id, ctx.now()).await?;
    let act = Act::new("detach", "access_profile", copy.parent_profile_id)
        .about_profile(copy.parent_profile_id)
        .with(&serde_json::json!({"group_id": id_text(id)}));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("access profile taken away"))
        .await
}

fn none(id: GroupId) -> Problem {
    Problem::not_found(
        "access profile of this group",
        format!("{} {}", thing(id), id_text(id)),
    )
}

const fn mode_word(mode: GroupProfileMode) -> &'static str {
    match mode {
        GroupProfileMode::Unite => "unite",
        GroupProfileMode::Restrict => "restrict",
    }
}

/// The copy as answers show it, with its live usage.
fn body(ctx: &Context, copy: &GroupCopy) -> Json<GroupProfileBody> {
    let content = &copy.content;
    let readings = Readings::of(ctx, content, copy.assigned_at);
    Json(GroupProfileBody {
        access_profile: GroupCopyView {
            id: copy.id.to_string(),
            group_id: id_text(copy.group),
            parent_profile_id: copy.parent_profile_id.0,
            name: copy.name.clone(),
            mode: mode_word(copy.mode),
            profile_version: copy.profile_version,
            is_active: copy.is_active,
            assigned_at: copy.assigned_at,
            provider_configs: view_configs(content, &|_| None, &readings),
            budgets: view_budgets(&content.limits, "total", &|_| None, &readings),
            rate_limit: view_rate_limit(&content.limits, &readings),
        },
    })
}
