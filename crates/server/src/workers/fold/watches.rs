//! Which limits with thresholds a piece of the journal may have brought further.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tollgate_domain::access::Copy;
use tollgate_domain::accounting::FoldBatch;
use tollgate_domain::ids::UserId;
use tollgate_domain::limits::{Meter, MeterId};
use tollgate_domain::snapshot::{KeyHolder, Snapshot};
use tollgate_storage::Watch;

/// The limits with thresholds of everybody who made a request in `batch`: in copies of their own, and in those of the
/// groups above them.
pub(super) fn watches(snapshot: &Snapshot, batch: &FoldBatch) -> HashMap<MeterId, Watch> {
    let mut found = HashMap::new();
    let mut seen = HashSet::new();
    for entry in &batch.log {
        let holder = match entry.facts.user {
            Some(user) => Some(KeyHolder::User(user)),
            None => snapshot.key(entry.facts.key).map(|key| key.holder),
        };
        if let Some(holder) = holder
            && seen.insert(holder)
        {
            watch_holder(snapshot, holder, &mut found);
        }
    }
    found
}

fn watch_holder(snapshot: &Snapshot, holder: KeyHolder, found: &mut HashMap<MeterId, Watch>) {
    let groups = match holder {
        KeyHolder::User(id) => {
            let Some(user) = snapshot.user(id) else {
                return;
            };
            for copy in &user.copies {
                watch_copy(copy, Some(id), found);
            }
            user.groups.clone()
        }
        KeyHolder::Group(id) => vec![id],
        KeyHolder::Itself => return,
    };
    for group in snapshot.with_parents(groups) {
        if let Some(profile) = &group.profile {
            watch_copy(&profile.copy, None, found);
        }
    }
}

fn watch_copy(copy: &Copy, user: Option<UserId>, found: &mut HashMap<MeterId, Watch>) {
    if copy.alert_thresholds.is_empty() {
        return;
    }
    let mut watch = |meter: &Arc<Meter>| {
        found.insert(
            meter.id,
            Watch {
                meter: meter.clone(),
                percents: copy.alert_thresholds.clone(),
                profile: copy.profile_id,
                user,
            },
        );
    };
    copy.meters.iter().for_each(&mut watch);
    for grant in &copy.grants {
        grant.meters.iter().for_each(&mut watch);
        let of_models = grant.model_meters.iter().flat_map(|line| &line.meters);
        of_models.for_each(&mut watch);
    }
}

#[cfg(test)]
mod tests {
    use tollgate_domain::access::{Endpoint, ModelList};
    use tollgate_domain::access::{ModelMeters, ProviderGrant, Settings};
    use tollgate_domain::accounting::{Ending, HoldFacts, JournalPosition, LogEntry, Outcome};
    use tollgate_domain::ids::{CustomerId, RequestId, TeamId};
    use tollgate_domain::limits::MeterKind;
    use tollgate_domain::snapshot::{Group, GroupId, GroupProfile, GroupProfileMode, User};
    use tollgate_domain::{Timestamp, TokenUsage, Usd};
    use tollgate_testkit::entities::{copy, grant, key, meter, user, uuid_of};

    use super::*;

    fn line(name: &str) -> Arc<Meter> {
        Arc::new(meter(name, MeterKind::Money, 1))
    }

    fn with_thresholds(name: &str) -> Copy {
        Copy {
            meters: vec![line(name)],
            alert_thresholds: [50].into(),
            ..copy(name)
        }
    }

    fn group(id: GroupId, name: &str, parents: Vec<GroupId>) -> Group {
        Group {
            id,
            name: name.into(),
            meters: vec![line("a group's own limit has no thresholds")],
            parents,
            profile: Some(GroupProfile {
                mode: GroupProfileMode::Restrict,
                copy: Arc::new(with_thresholds(name)),
            }),
            settings: Settings::default(),
        }
    }

    /// A piece with one request of this key.
    fn request(key: &str, user: Option<&str>) -> FoldBatch {
        let facts = HoldFacts {
            request: RequestId::from_uuid(uuid_of("request")),
            at: Timestamp::default(),
            key: tollgate_testkit::entities::key(key, KeyHolder::Itself).id,
            user: user.map(|name| tollgate_testkit::entities::user(name).id),
            copy: None,
            profile: None,
            profile_version: None,
            provider: "mock".parse().unwrap(),
            model: "small".to_owned(),
            endpoint: Endpoint::ChatCompletions,
            is_stream: false,
            is_bound: false,
            reserved_cost: Usd::ZERO,
            reserved_tokens: 0,
            shadow: None,
        };
        let ending = Ending {
            at: Timestamp::default(),
            outcome: Outcome::Reported,
            status: 200,
            error_code: None,
            usage: TokenUsage::default(),
            cost: Usd::ZERO,
            duration_micros: 0,
            first_byte_micros: None,
            attempts: 1,
        };
        FoldBatch {
            journal: uuid_of("journal"),
            from: JournalPosition::default(),
            to: JournalPosition::default(),
            last_instant: Timestamp::default(),
            counters: Vec::new(),
            log: vec![LogEntry { facts, ending }],
            resolved: Vec::new(),
            corrections: Vec::new(),
            resets: Vec::new(),
            opened: Vec::new(),
            closed: Vec::new(),
            in_doubt: Vec::new(),
        }
    }

    fn watched(snapshot: &Snapshot, batch: &FoldBatch) -> Vec<String> {
        let watches = watches(snapshot, batch).into_values();
        let mut names: Vec<_> = watches
            .map(|watch| watch.meter.line_id.to_string())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn limits_of_whoever_made_a_request_are_watched_at_every_level() {
        let team = GroupId::Team(TeamId::from_uuid(uuid_of("team")));
        let customer = GroupId::Customer(CustomerId::from_uuid(uuid_of("customer")));
        let own = Copy {
            grants: vec![ProviderGrant {
                meters: vec![line("provider")],
                model_meters: vec![ModelMeters {
                    models: ModelList::all(),
                    meters: vec![line("model")],
                }],
                ..grant("mock")
            }],
            ..with_thresholds("own")
        };
        let silent = Copy {
            meters: vec![line("silent")],
            ..copy("silent")
        };
        let ada = User {
            copies: vec![Arc::new(own), Arc::new(silent)],
            groups: vec![team],
            ..user("ada")
        };
        let mut snapshot = Snapshot::default();
        snapshot.put_key(key("of the team", KeyHolder::Group(team)));
        snapshot.put_key(key("of nobody", KeyHolder::Itself));
        snapshot.put_user(User {
            copies: vec![Arc::new(with_thresholds("of bob"))],
            ..user("bob")
        });
        snapshot.put_user(ada);
        snapshot.put_group(group(team, "team", vec![customer]));
        snapshot.put_group(group(customer, "customer", vec![team]));
        assert_eq!(
            watched(&snapshot, &request("gone", Some("ada"))),
            ["customer", "model", "own", "provider", "team"]
        );
        assert_eq!(
            watched(&snapshot, &request("of the team", None)),
            ["customer", "team"]
        );
        for nobody in [
            request("of nobody", None),
            request("gone", None),
            request("gone", Some("eve")),
        ] {
            assert!(watched(&snapshot, &nobody).is_empty());
        }
    }
}
