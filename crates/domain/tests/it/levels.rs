//! Limits of every level, and which of them a request meets.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_domain::access::ModelList;
use tollgate_domain::ids::{ProviderKeyId, TeamId, UserId, VirtualKeyId};
use tollgate_domain::limits::{Holder, HolderKind, Meter, MeterId, MeterKind};
use tollgate_domain::provider::ProviderKey;
use tollgate_domain::snapshot::{Group, GroupId, ModelLimit};

use crate::world::{World, config, copy, provider, uuid};

/// Lines of budgets are so much higher than the lines of rate limits at the same place.
const BUDGET: u128 = 100;

fn meter(line: u128, kind: MeterKind) -> Arc<Meter> {
    let holder = Holder {
        kind: HolderKind::Team,
        id: "holder".into(),
        name: "holder".into(),
    };
    Arc::new(Meter {
        id: MeterId {
            line: uuid(line),
            kind,
        },
        holder: Arc::new(holder),
        line_id: "line".into(),
        scope: "total".into(),
        limit: 1,
        boost: None,
        window: None,
    })
}

/// A budget and a rate limit, in the wrong order.
fn limits(line: u128) -> Vec<Arc<Meter>> {
    vec![
        meter(BUDGET + line, MeterKind::Money),
        meter(line, MeterKind::Requests),
    ]
}

fn model_limit(line: u128) -> ModelLimit {
    ModelLimit {
        models: ModelList::compile(&["*"]).unwrap(),
        provider: None,
        key: None,
        user: None,
        meters: limits(line),
    }
}

/// All have to hold: rates before budgets, and the nearest level first.
#[test]
fn a_request_meets_the_limits_of_every_level() {
    let mut world = World::new()
        .with_copy(&copy(1, vec![config("alpha", "*", "")]))
        .with_key_grant("alpha", "*");
    let copy = Arc::make_mut(&mut world.user.copies[0]);
    copy.grants[0].meters = limits(1);
    copy.meters = limits(2);
    world.key.grants[0].meters = limits(3);
    world.key.meters = limits(4);
    let team = GroupId::Team(TeamId::from_uuid(uuid(1)));
    world.user.groups.push(team);
    world.groups.push(Group {
        id: team,
        name: "team".into(),
        meters: limits(5),
        parents: Vec::new(),
        profile: None,
        settings: tollgate_domain::access::Settings::default(),
    });
    let mut snapshot = world.snapshot();
    snapshot.set_model_limits(vec![
        model_limit(6),
        ModelLimit {
            key: Some(world.key.id),
            user: Some(world.user.id),
            provider: Some("alpha".parse().unwrap()),
            ..model_limit(7)
        },
        ModelLimit {
            key: Some(VirtualKeyId::from_uuid(uuid(77))),
            ..model_limit(90)
        },
        ModelLimit {
            user: Some(UserId::from_uuid(uuid(77))),
            ..model_limit(91)
        },
        ModelLimit {
            provider: Some("beta".parse().unwrap()),
            ..model_limit(92)
        },
        ModelLimit {
            models: ModelList::compile(&["a2"]).unwrap(),
            ..model_limit(93)
        },
    ]);
    let mut alpha = provider("alpha");
    alpha.meters = limits(8);
    alpha.meters.push(meter(9, MeterKind::Tokens));
    alpha.meters.push(meter(10, MeterKind::Parallel));
    snapshot.set_providers([alpha]);
    let plan = world.plan_on(&snapshot, "alpha/a1");
    let candidate = &plan.candidates[0];
    let needs: Vec<_> = candidate
        .needs
        .iter()
        .map(|need| (need.meter.id.line.as_u128(), need.amount))
        .collect();
    let tokens = i64::try_from(candidate.estimate.total_tokens()).unwrap();
    let cost = candidate.estimate.cost.nanos();
    let expected: Vec<_> = (1..=8)
        .map(|line| (line, 1))
        .chain([(9, tokens), (10, 1)])
        .chain((1..=8).map(|line| (BUDGET + line, cost)))
        .collect();
    assert_eq!(needs, expected);
    assert!(candidate.needs.iter().all(|need| need.is_enforced));
}

/// One candidate is one model at one price, whichever of its credentials is used.
#[test]
fn credentials_that_name_the_model_otherwise_are_left_out() {
    let world = World::new().with_copy(&copy(1, vec![config("alpha", "*", "")]));
    let mut snapshot = world.snapshot();
    let mut alpha = provider("alpha");
    let key = |number, weight, alias: Option<&str>| {
        let renamed = alias.map(|alias| ("a1".to_owned(), alias.to_owned()));
        Arc::new(ProviderKey {
            id: ProviderKeyId::from_uuid(uuid(number)),
            weight,
            aliases: renamed.into_iter().collect::<BTreeMap<_, _>>(),
            ..ProviderKey::clone(&provider("alpha").keys[0])
        })
    };
    alpha.keys = vec![
        key(1, 3.0, Some("a2")),
        key(2, 2.0, None),
        key(3, 1.0, Some("a2")),
    ];
    snapshot.set_providers([alpha]);
    let plan = world.plan_on(&snapshot, "alpha/a1");
    let candidate = &plan.candidates[0];
    let keys: Vec<_> = candidate
        .keys
        .iter()
        .map(|key| key.id.uuid().as_u128())
        .collect();
    assert_eq!(keys, [1, 3]);
    assert_eq!(candidate.upstream_model(), "a2");
}
