//! Finding a budget line wherever it stands.

use std::sync::Arc;

use super::Snapshot;
use crate::access::{Copy, ProviderGrant};
use crate::ids::{BudgetId, ProfileId, UserId};
use crate::limits::{Meter, MeterKind};

/// A budget line, and whom it concerns.
#[derive(Debug, Clone)]
pub struct FoundBudget {
    /// The line; its holder says what it belongs to.
    pub meter: Arc<Meter>,
    /// The profile whose copy it is in.
    pub profile: Option<ProfileId>,
    /// The user who has that copy.
    pub user: Option<UserId>,
}

impl Snapshot {
    /// The line with this id: of a copy, a provider or model inside one, a key, a group, a limit on a model or a
    /// provider. Looks through everything; nobody waits for it on the data plane.
    pub fn budget(&self, id: BudgetId) -> Option<FoundBudget> {
        let matches =
            |meter: &Meter| meter.id.kind == MeterKind::Money && meter.id.line == id.uuid();
        let found = |meter: Arc<Meter>, profile, user| FoundBudget {
            meter,
            profile,
            user,
        };
        for user in self.users() {
            for copy in &user.copies {
                if let Some(meter) = in_copy(copy, &matches) {
                    return Some(found(meter, Some(copy.profile_id), Some(user.id)));
                }
            }
        }
        for group in self.groups() {
            if let Some(meter) = group.meters.iter().find(|meter| matches(meter)) {
                return Some(found(meter.clone(), None, None));
            }
            let copy = group.profile.as_ref().map(|profile| &profile.copy);
            if let Some(copy) = copy
                && let Some(meter) = in_copy(copy, &matches)
            {
                return Some(found(meter, Some(copy.profile_id), None));
            }
        }
        let of_keys = self.keys().flat_map(|key| {
            let of_grants = key.grants.iter().flat_map(meters_of_grant);
            key.meters.iter().chain(of_grants)
        });
        of_keys
            .chain(self.model_limits().iter().flat_map(|limit| &limit.meters))
            .chain(self.providers().flat_map(|provider| &provider.meters))
            .find(|meter| matches(meter))
            .map(|meter| found(meter.clone(), None, None))
    }
}

fn in_copy(copy: &Copy, matches: &dyn Fn(&Meter) -> bool) -> Option<Arc<Meter>> {
    copy.meters
        .iter()
        .chain(copy.grants.iter().flat_map(meters_of_grant))
        .find(|meter| matches(meter))
        .cloned()
}

fn meters_of_grant(grant: &ProviderGrant) -> impl Iterator<Item = &Arc<Meter>> {
    let of_models = grant.model_meters.iter().flat_map(|line| &line.meters);
    grant.meters.iter().chain(of_models)
}
