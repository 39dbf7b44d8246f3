//! Which limits with thresholds to look at.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tollgate_domain::access::Copy;
use tollgate_domain::accounting::FoldBatch;
use tollgate_domain::ids::UserId;
use tollgate_domain::limits::{Meter, MeterId};
use tollgate_domain::snapshot::{Group, KeyHolder, Snapshot, SnapshotChange, User};
use tollgate_storage::Watch;

use super::lookout::Lookout;

type Found = HashMap<MeterId, Watch>;

/// The limits with thresholds that `batch` may have brought further: of everybody who made a request in it, in copies of
/// their own and in those of the groups above them; and where it has corrections by hand, whosever they are.
pub(super) fn watches(snapshot: &Snapshot, batch: &FoldBatch) -> Found {
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
    if !batch.corrections.is_empty() {
        // They are few, and any limit may be meant, also one whose holder makes no request any more.
        watch_everybody(snapshot, &mut found);
        let touched: HashSet<MeterId> = batch
            .counters
            .iter()
            .map(|change| MeterId {
                line: change.key.line,
                kind: change.key.kind,
            })
            .collect();
        found.retain(|id, _| touched.contains(id));
    }
    found
}

/// The limits with thresholds of whoever is `due`. Those whose override ends later are looked at again then.
pub(super) fn of_changed(
    snapshot: &Snapshot,
    due: &BTreeSet<SnapshotChange>,
    lookout: &mut Lookout,
    now: tollgate_domain::Timestamp,
) -> Found {
    let mut all = HashMap::new();
    let mut add = |whose: SnapshotChange, found: Found| {
        for watch in found.values() {
            lookout.expect(&watch.meter, whose, now);
        }
        all.extend(found);
    };
    let of_user = |user: &User| {
        let mut found = HashMap::new();
        watch_user(user, &mut found);
        (SnapshotChange::User(user.id), found)
    };
    let of_group = |group: &Group| {
        let mut found = HashMap::new();
        watch_group(group, &mut found);
        (SnapshotChange::Group(group.id), found)
    };
    for change in due {
        match change {
            SnapshotChange::User(id) => {
                if let Some(user) = snapshot.user(*id) {
                    let (whose, found) = of_user(user);
                    add(whose, found);
                }
            }
            SnapshotChange::Group(id) => {
                if let Some(group) = snapshot.group(*id) {
                    let (whose, found) = of_group(group);
                    add(whose, found);
                }
            }
            SnapshotChange::Everything => {
                let groups = snapshot.groups().map(|group| of_group(group));
                for (whose, found) in snapshot.users().map(|user| of_user(user)).chain(groups) {
                    add(whose, found);
                }
            }
            // Only copies of profiles have thresholds.
            SnapshotChange::Key(_)
            | SnapshotChange::Providers
            | SnapshotChange::ModelLimits
            | SnapshotChange::Prices
            | SnapshotChange::Mcp => {}
        }
    }
    all
}

fn watch_everybody(snapshot: &Snapshot, found: &mut Found) {
    for user in snapshot.users() {
        watch_user(user, found);
    }
    for group in snapshot.groups() {
        watch_group(group, found);
    }
}

fn watch_holder(snapshot: &Snapshot, holder: KeyHolder, found: &mut Found) {
    let groups = match holder {
        KeyHolder::User(id) => {
            let Some(user) = snapshot.user(id) else {
                return;
            };
            watch_user(user, found);
            user.groups.clone()
        }
        KeyHolder::Group(id) => vec![id],
        KeyHolder::Itself => return,
    };
    for group in snapshot.with_parents(groups) {
        watch_group(group, found);
    }
}

fn watch_user(user: &User, found: &mut Found) {
    for copy in &user.copies {
        watch_copy(copy, Some(user.id), found);
    }
}

fn watch_group(group: &Group, found: &mut Found) {
    if let Some(profile) = &group.profile {
        watch_copy(&profile.copy, None, found);
    }
}

fn watch_copy(copy: &Copy, user: Option<UserId>, found: &mut Found) {
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
