//! The shared copies of teams, business units and customers, which follow the template like those of users.

use std::collections::BTreeSet;

use serde::Serialize;
use tollgate_domain::access::profile::AccessProfile;
use tollgate_domain::limits::{Holder, HolderKind, MeterId, MeterKind};
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::Tx;
use tollgate_storage::groups::profiles::{self, GroupCopy};
use utoipa::ToSchema;

use super::Propagate;
use super::restarts::{Restarts, Step};
use crate::access_profiles::changes::{FieldChange, changes};
use crate::access_profiles::copying::take_over;
use crate::body::Existing;
use crate::context::Context;
use crate::groups::id_text;
use crate::problem::Answer;

/// A part of a group's copy that would change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupChange {
    group_id: String,
    #[serde(flatten)]
    change: FieldChange,
}

/// What a run did to the copies of groups.
#[derive(Default)]
pub(super) struct GroupRun {
    /// The groups whose copy changed, or would change.
    pub(super) affected: Vec<String>,
    pub(super) changes: Vec<GroupChange>,
    /// What is to be set to zero, by copy.
    pub(super) counted: Vec<Vec<MeterId>>,
}

/// Brings the copies of groups up to date: of the teams that the body names, of no group when it names only users, and
/// of every group that has the profile when it names nobody.
pub(super) async fn push_groups(
    ctx: &Context,
    tx: &mut Tx,
    profile: &AccessProfile,
    body: &Propagate,
    restarts: &mut Restarts,
) -> Answer<GroupRun> {
    let named = body.group_ids.iter().flatten();
    let teams: BTreeSet<GroupId> = named.map(|Existing(id)| GroupId::Team(*id)).collect();
    let names_users = body.user_ids.as_ref().is_some_and(|ids| !ids.is_empty());
    let mut run = GroupRun::default();
    if teams.is_empty() && names_users {
        return Ok(run);
    }
    for copy in profiles::of_profile(&mut *tx, profile.id).await? {
        if teams.is_empty() || teams.contains(&copy.group) {
            push_one(ctx, tx, profile, body, copy, &mut run, restarts).await?;
        }
    }
    Ok(run)
}

async fn push_one(
    ctx: &Context,
    tx: &mut Tx,
    profile: &AccessProfile,
    body: &Propagate,
    old: GroupCopy,
    run: &mut GroupRun,
    restarts: &mut Restarts,
) -> Answer<()> {
    let is_dry = body.dry_run.unwrap_or(false);
    let resets = body.reset_usage.unwrap_or(false);
    let content = take_over(old.id.uuid(), &old.content, &profile.content, &body.fields);
    let is_changed = content != old.content;
    if is_changed || resets {
        run.affected.push(id_text(old.group));
    }
    if is_dry {
        let differing = changes(&old.content, &content)?.into_iter();
        run.changes.extend(differing.map(|change| GroupChange {
            group_id: id_text(old.group),
            change,
        }));
        return Ok(());
    }
    let new = GroupCopy {
        content,
        name: profile.name.clone(),
        profile_version: profile.version,
        updated_at: ctx.now(),
        ..old.clone()
    };
    if is_changed || new.name != old.name || new.profile_version != old.profile_version {
        profiles::put(tx, &new).await?;
    }
    let step = Step {
        before: &old.content,
        after: &new.content,
        anchor: new.assigned_at,
        is_reset: resets,
    };
    restarts.note_group(ctx, &step, id_text(old.group));
    if resets {
        let holder = Holder {
            kind: HolderKind::AccessProfile,
            id: new.id.to_string().into(),
            name: new.name.as_str().into(),
        };
        let meters = new.content.meters(holder, new.assigned_at, &|_| None);
        let ids = meters.into_iter().map(|meter| meter.id);
        let counted = ids.filter(|id| id.kind != MeterKind::Parallel);
        run.counted.push(counted.collect());
    }
    Ok(())
}
