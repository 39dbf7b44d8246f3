//! Whose limits a propagation starts anew.

use std::collections::BTreeMap;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::UserId;

use crate::context::Context;
use crate::limits::StartsAnew;

/// The limits that start anew, and in whose copies. Copies that follow one template have mostly the same ones, so they
/// are told once.
#[derive(Default)]
pub(super) struct Restarts(BTreeMap<Vec<StartsAnew>, Holders>);

#[derive(Default, Serialize)]
struct Holders {
    user_ids: Vec<String>,
    group_ids: Vec<String>,
}

/// As the audit trail has it.
#[derive(Serialize)]
pub(super) struct Restart<'a> {
    limits: &'a Vec<StartsAnew>,
    #[serde(flatten)]
    holders: &'a Holders,
}

/// What a copy was, and what it became.
pub(super) struct Step<'a> {
    pub(super) before: &'a ProfileContent,
    pub(super) after: &'a ProfileContent,
    pub(super) anchor: Timestamp,
    /// Whether all of its usage is set back to zero.
    pub(super) is_reset: bool,
}

impl Restarts {
    pub(super) fn note_user(&mut self, ctx: &Context, step: &Step<'_>, user: UserId) {
        if let Some(holders) = self.holders(ctx, step) {
            holders.user_ids.push(user.to_string());
        }
    }

    pub(super) fn note_group(&mut self, ctx: &Context, step: &Step<'_>, group: String) {
        if let Some(holders) = self.holders(ctx, step) {
            holders.group_ids.push(group);
        }
    }

    fn holders(&mut self, ctx: &Context, step: &Step<'_>) -> Option<&mut Holders> {
        let (live, now) = (ctx.parts().live.as_ref(), ctx.now());
        let found = StartsAnew::find(step.before, step.after, step.anchor, |meter| {
            if step.is_reset {
                0
            } else {
                live.count(meter, now).used
            }
        });
        let limits: Vec<_> = found.into_iter().map(StartsAnew::in_any_copy).collect();
        (!limits.is_empty()).then(|| self.0.entry(limits).or_default())
    }

    pub(super) fn all(&self) -> Vec<Restart<'_>> {
        let restart = |(limits, holders)| Restart { limits, holders };
        self.0.iter().map(restart).collect()
    }
}
