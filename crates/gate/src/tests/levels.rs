//! Every level with every kind of limit: each refuses alone, and a request spends on all at once.

use std::sync::Arc;

use tollgate_domain::ErrorKind;
use tollgate_domain::access::{Copy, ModelList, ModelMeters, ProviderGrant, Settings};
use tollgate_domain::ids::{BusinessUnitId, CustomerId, TeamId};
use tollgate_domain::limits::{Holder, HolderKind, Meter, MeterKind};
use tollgate_domain::provider::Provider;
use tollgate_domain::snapshot::{
    Group, GroupId, GroupProfile, GroupProfileMode, KeyHolder, ModelLimit, Snapshot, User,
    VirtualKey,
};
use tollgate_testkit::entities::{
    catalog, copy, grant, key, meter, model_info, provider, user, uuid_of,
};

use super::kit::*;

/// Where a limit can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Copy,
    ProviderConfig,
    ModelBudget,
    Key,
    KeyProviderConfig,
    KeyModelBudget,
    Team,
    BusinessUnit,
    Customer,
    Restriction,
    RestrictionProviderConfig,
    ModelLimit,
    ModelLimitOfKey,
    ModelLimitOfUser,
    Provider,
}

impl Level {
    const ALL: [Self; 15] = [
        Self::Copy,
        Self::ProviderConfig,
        Self::ModelBudget,
        Self::Key,
        Self::KeyProviderConfig,
        Self::KeyModelBudget,
        Self::Team,
        Self::BusinessUnit,
        Self::Customer,
        Self::Restriction,
        Self::RestrictionProviderConfig,
        Self::ModelLimit,
        Self::ModelLimitOfKey,
        Self::ModelLimitOfUser,
        Self::Provider,
    ];

    const fn holder(self) -> HolderKind {
        match self {
            Self::Copy
            | Self::ProviderConfig
            | Self::ModelBudget
            | Self::Restriction
            | Self::RestrictionProviderConfig => HolderKind::AccessProfile,
            Self::Key | Self::KeyProviderConfig | Self::KeyModelBudget => HolderKind::VirtualKey,
            Self::Team => HolderKind::Team,
            Self::BusinessUnit => HolderKind::BusinessUnit,
            Self::Customer => HolderKind::Customer,
            Self::ModelLimit | Self::ModelLimitOfKey | Self::ModelLimitOfUser => {
                HolderKind::ModelConfig
            }
            Self::Provider => HolderKind::Provider,
        }
    }

    /// A limit at this level, named after it.
    fn meter(self, kind: MeterKind, limit: i64) -> Meter {
        let name = format!("{self:?}");
        Meter {
            holder: Arc::new(Holder {
                kind: self.holder(),
                id: name.as_str().into(),
                name: name.as_str().into(),
            }),
            ..meter(&name, kind, limit)
        }
    }
}

/// Ada in a team of a customer and of a business unit, whose profile caps its members; her key has a grant of its own.
fn world_with(limits: &[(Level, Meter)]) -> Snapshot {
    let at = |level: Level| {
        let here = limits.iter().filter(move |(where_, _)| *where_ == level);
        here.map(|(_, meter)| Arc::new(meter.clone()))
            .collect::<Vec<_>>()
    };
    let granting = |config, model| ProviderGrant {
        meters: at(config),
        model_meters: vec![ModelMeters {
            models: ModelList::compile(&["small"]).unwrap(),
            meters: at(model),
        }],
        ..grant("mock")
    };
    let group = |id, name: &str, level, parents| Group {
        id,
        name: name.into(),
        meters: at(level),
        parents,
        profile: None,
        settings: Settings::default(),
    };
    let team = GroupId::Team(TeamId::from_uuid(uuid_of("team")));
    let unit = GroupId::BusinessUnit(BusinessUnitId::from_uuid(uuid_of("unit")));
    let customer = GroupId::Customer(CustomerId::from_uuid(uuid_of("customer")));
    let restriction = GroupProfile {
        mode: GroupProfileMode::Restrict,
        copy: Arc::new(Copy {
            grants: vec![ProviderGrant {
                meters: at(Level::RestrictionProviderConfig),
                ..grant("mock")
            }],
            meters: at(Level::Restriction),
            ..copy("restriction")
        }),
    };
    let ada = User {
        copies: vec![Arc::new(Copy {
            grants: vec![granting(Level::ProviderConfig, Level::ModelBudget)],
            meters: at(Level::Copy),
            ..copy("starter")
        })],
        groups: vec![team],
        ..user("ada")
    };
    let own_key = VirtualKey {
        grants: vec![granting(Level::KeyProviderConfig, Level::KeyModelBudget)],
        meters: at(Level::Key),
        ..key("ada", KeyHolder::User(ada.id))
    };
    let limit = |level, key, user| ModelLimit {
        models: ModelList::compile(&["small"]).unwrap(),
        provider: None,
        key,
        user,
        meters: at(level),
    };
    let mut snapshot = Snapshot::default();
    snapshot.set_model_limits(vec![
        limit(Level::ModelLimit, None, None),
        limit(Level::ModelLimitOfKey, Some(own_key.id), None),
        limit(Level::ModelLimitOfUser, None, Some(ada.id)),
    ]);
    snapshot.put_key(own_key);
    snapshot.put_user(ada);
    snapshot.put_group(group(team, "team", Level::Team, vec![unit, customer]));
    snapshot.put_group(Group {
        profile: Some(restriction),
        ..group(unit, "unit", Level::BusinessUnit, Vec::new())
    });
    snapshot.put_group(group(customer, "customer", Level::Customer, Vec::new()));
    snapshot.set_providers([Provider {
        meters: at(Level::Provider),
        ..provider("mock", "http://127.0.0.1:1")
    }]);
    snapshot.set_catalog(catalog([("mock", "small", model_info(1, 2))]));
    snapshot
}

/// Room for one request of a million tokens, which cost a dollar.
const fn room_for_one(kind: MeterKind) -> i64 {
    match kind {
        MeterKind::Money => 1_500_000_000,
        MeterKind::Tokens => 1_500_000,
        MeterKind::Requests | MeterKind::Parallel => 1,
    }
}

#[test]
fn each_limit_of_each_level_refuses_alone() {
    for level in Level::ALL {
        for kind in MeterKind::ALL {
            let line = level.meter(kind, room_for_one(kind));
            let test = TestGate::new(world_with(&[(level, line.clone())]));
            let mut first = test.admit(&request("mock/small", 0)).unwrap();
            first.mark_dispatched();
            // A slot is taken while the request runs; everything else stays used after it.
            let running = if kind == MeterKind::Parallel {
                Some(first)
            } else {
                first.settle(reported(1_000_000, 0));
                None
            };
            let refused = test.admit(&request("mock/small", 0)).unwrap_err();
            let expected = match kind {
                MeterKind::Money => ErrorKind::BudgetExceeded,
                MeterKind::Tokens => ErrorKind::TokenLimited,
                MeterKind::Requests => ErrorKind::RequestLimited,
                MeterKind::Parallel => ErrorKind::ConcurrencyLimited,
            };
            let place = format!("{level:?} {kind:?}");
            assert_eq!(refused.kind, expected, "{place}");
            let limit = refused.limit.expect("a limit refused");
            assert_eq!(limit.kind, kind, "{place}");
            let reading = &limit.reading;
            assert_eq!(reading.holder_kind, level.holder().as_str(), "{place}");
            assert_eq!(reading.holder_id, format!("{level:?}"));
            assert_eq!(reading.limit, room_for_one(kind), "{place}");
            assert_eq!(
                (reading.used, reading.reserved),
                test.count(&line),
                "{place}"
            );
            drop(running);
            if kind == MeterKind::Parallel {
                assert!(test.admit(&request("mock/small", 0)).is_ok(), "{place}");
            }
        }
    }
}

/// Nothing resets a limit, at no level: its window ends.
#[test]
fn each_limit_of_each_level_has_room_again_in_its_next_window() {
    for level in Level::ALL {
        for kind in [MeterKind::Money, MeterKind::Tokens, MeterKind::Requests] {
            let line = level.meter(kind, room_for_one(kind));
            let test = TestGate::new(world_with(&[(level, line.clone())]));
            let place = format!("{level:?} {kind:?}");
            let mut first = test.admit(&request("mock/small", 0)).unwrap();
            first.mark_dispatched();
            first.settle(reported(1_000_000, 0));
            let refused = test.admit(&request("mock/small", 0)).unwrap_err();
            let resets_at = refused.limit.unwrap().reading.resets_at.unwrap();
            test.clock.set(resets_at.saturating_add_micros(-1));
            assert!(test.admit(&request("mock/small", 0)).is_err(), "{place}");
            test.clock.set(resets_at);
            assert!(test.admit(&request("mock/small", 0)).is_ok(), "{place}");
        }
    }
}

#[test]
fn one_request_spends_on_every_level_at_once() {
    let limits: Vec<(Level, Meter)> = Level::ALL
        .into_iter()
        .flat_map(|level| {
            let line = move |kind| (level, level.meter(kind, i64::MAX));
            MeterKind::ALL.map(line)
        })
        .collect();
    let test = TestGate::new(world_with(&limits));
    let mut admission = test.admit(&request("mock/small", 0)).unwrap();
    for (level, line) in &limits {
        let held = match line.id.kind {
            MeterKind::Money => 1_000_000_000,
            MeterKind::Tokens => 1_000_000,
            MeterKind::Requests | MeterKind::Parallel => 1,
        };
        assert_eq!(test.count(line), (0, held), "{level:?} {:?}", line.id.kind);
    }
    admission.mark_dispatched();
    admission.settle(reported(600_000, 100_000));
    for (level, line) in &limits {
        let used = match line.id.kind {
            MeterKind::Money => 800_000_000,
            MeterKind::Tokens => 700_000,
            MeterKind::Requests => 1,
            MeterKind::Parallel => 0,
        };
        assert_eq!(test.count(line), (used, 0), "{level:?} {:?}", line.id.kind);
    }
}

#[test]
fn restriction_takes_away_and_never_grants() {
    let team = GroupId::Team(TeamId::from_uuid(uuid_of("team")));
    let world = |own: Vec<ProviderGrant>, cap: Vec<ProviderGrant>| {
        let mut snapshot = world_with(&[]);
        let mut ada = user("ada");
        ada.groups = vec![team];
        ada.copies = vec![Arc::new(Copy {
            grants: own,
            ..copy("starter")
        })];
        let mut restricted = (**snapshot.group(team).unwrap()).clone();
        restricted.profile = Some(GroupProfile {
            mode: GroupProfileMode::Restrict,
            copy: Arc::new(Copy {
                grants: cap,
                ..copy("cap")
            }),
        });
        snapshot.put_user(ada);
        snapshot.put_group(restricted);
        TestGate::new(snapshot)
    };
    let only = |model: &str| ProviderGrant {
        allowed: ModelList::compile(&[model]).unwrap(),
        ..grant("mock")
    };
    let asked = request("mock/small", 0);
    assert!(
        world(vec![grant("mock")], vec![only("small")])
            .admit(&asked)
            .is_ok()
    );
    let refusal = |own, cap| world(own, cap).admit(&asked).unwrap_err().kind;
    assert_eq!(
        refusal(vec![grant("mock")], vec![only("large")]),
        ErrorKind::ModelBlocked
    );
    assert_eq!(
        refusal(vec![grant("mock")], vec![]),
        ErrorKind::ProviderBlocked
    );
    assert_eq!(
        refusal(vec![only("large")], vec![grant("mock")]),
        ErrorKind::ModelBlocked
    );
}
