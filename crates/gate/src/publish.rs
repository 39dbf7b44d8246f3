//! Putting a new snapshot in force.

use std::sync::Arc;

use tollgate_domain::access::{Copy, ProviderGrant};
use tollgate_domain::limits::Meter;
use tollgate_domain::snapshot::{Snapshot, SnapshotChange};

use crate::gate::Gate;

impl Gate {
    /// Makes `snapshot` hold for every attempt that starts from now on.
    pub fn publish(&self, snapshot: Snapshot) {
        self.snapshot.store(Arc::new(snapshot));
    }

    /// As [`Gate::publish`], when it is known what changed: usage of limits whose windows an edit moved (alignment, zone,
    /// fiscal year) follows at once. Otherwise it follows at the next request, or not at all when the old window has
    /// ended by then.
    pub fn publish_changes(&self, snapshot: Snapshot, changes: &[SnapshotChange]) {
        let mut meters = Vec::new();
        for change in changes {
            meters_of(&snapshot, *change, &mut meters);
        }
        self.publish(snapshot);
        self.ledger.carry_over(&meters, self.clock.now());
    }
}

fn meters_of(snapshot: &Snapshot, change: SnapshotChange, into: &mut Vec<Arc<Meter>>) {
    match change {
        SnapshotChange::User(id) => {
            let copies = snapshot.user(id).map_or(&[][..], |user| &user.copies);
            for copy in copies {
                of_copy(copy, into);
            }
        }
        SnapshotChange::Key(id) => {
            if let Some(key) = snapshot.key(id) {
                into.extend(key.meters.iter().cloned());
                of_grants(&key.grants, into);
            }
        }
        SnapshotChange::Group(id) => {
            if let Some(group) = snapshot.group(id) {
                into.extend(group.meters.iter().cloned());
                if let Some(profile) = &group.profile {
                    of_copy(&profile.copy, into);
                }
            }
        }
        SnapshotChange::Providers => {
            into.extend(snapshot.providers().flat_map(|one| one.meters.clone()));
        }
        SnapshotChange::ModelLimits => {
            into.extend(
                snapshot
                    .model_limits()
                    .iter()
                    .flat_map(|one| one.meters.clone()),
            );
        }
        // Prices and tools have no limits; all limits at once change only at a start, before there are requests.
        SnapshotChange::Prices | SnapshotChange::Mcp | SnapshotChange::Everything => {}
    }
}

fn of_copy(copy: &Copy, into: &mut Vec<Arc<Meter>>) {
    into.extend(copy.meters.iter().cloned());
    of_grants(&copy.grants, into);
}

fn of_grants(grants: &[ProviderGrant], into: &mut Vec<Arc<Meter>>) {
    for grant in grants {
        into.extend(grant.meters.iter().cloned());
        into.extend(
            grant
                .model_meters
                .iter()
                .flat_map(|line| line.meters.clone()),
        );
    }
}
