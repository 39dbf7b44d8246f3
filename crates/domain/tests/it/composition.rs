//! The five sentences of the rule, each with its edges.

use tollgate_domain::ErrorKind;
use tollgate_domain::access::Outcome;
use tollgate_domain::access::profile::{Reservation, UserCopy};
use tollgate_domain::catalog::{Catalog, ModelInfo, ModelPrice};
use tollgate_domain::limits::{Boost, MeterKind};
use tollgate_domain::snapshot::{GroupProfileMode, KeyHolder};

use crate::world::{NOW, World, allow_unknown_prices, budget, config, copy, in_shadow};

#[test]
fn nothing_is_granted_by_default() {
    assert_eq!(World::new().outcome("alpha/a1"), "provider_blocked");
    assert_eq!(
        World::new().with_copy(&copy(1, vec![])).outcome("alpha/a1"),
        "provider_blocked"
    );
    let empty_list = copy(1, vec![config("alpha", "", "")]);
    assert_eq!(
        World::new().with_copy(&empty_list).outcome("alpha/a1"),
        "model_blocked"
    );
}

#[test]
fn grants_of_all_live_copies_unite() {
    let world = World::new()
        .with_copy(&copy(1, vec![config("alpha", "a1", "")]))
        .with_copy(&copy(2, vec![config("beta", "b1", "")]));
    assert_eq!(world.outcome("alpha/a1"), "profile-1>alpha/a1");
    assert_eq!(world.outcome("beta/b1"), "profile-2>beta/b1");
    assert_eq!(world.outcome("alpha/a2"), "model_blocked");
}

#[test]
fn a_blacklist_wins_inside_its_copy_and_only_there() {
    let denying = copy(1, vec![config("alpha", "*", "a1")]);
    assert_eq!(
        World::new().with_copy(&denying).outcome("alpha/a1"),
        "model_blocked"
    );
    let world = World::new()
        .with_copy(&denying)
        .with_copy(&copy(2, vec![config("alpha", "a1", "")]));
    assert_eq!(world.outcome("alpha/a1"), "profile-2>alpha/a1");
}

#[test]
fn copies_pay_by_priority_and_then_by_assignment() {
    let mut late = copy(2, vec![config("alpha", "*", "")]);
    let early = copy(1, vec![config("alpha", "*", "")]);
    let world = |late: &_| World::new().with_copy(late).with_copy(&early);
    assert_eq!(
        world(&late).outcome("alpha/a1"),
        "profile-1>alpha/a1 profile-2>alpha/a1"
    );
    late.priority = -1;
    assert_eq!(
        world(&late).outcome("alpha/a1"),
        "profile-2>alpha/a1 profile-1>alpha/a1"
    );
}

#[test]
fn a_key_that_is_placed_under_profiles_opens_nothing_without_one() {
    let mut world = World::new().with_key_grant("alpha", "*");
    assert_eq!(world.outcome("alpha/a1"), "key>alpha/a1");
    world.key.is_managed = true;
    assert_eq!(world.outcome("alpha/a1"), "access_blocked");
    let world = world.with_copy(&copy(
        1,
        vec![config("alpha", "a1", ""), config("beta", "*", "")],
    ));
    assert_eq!(world.outcome("alpha/a1"), "profile-1>alpha/a1");
    assert_eq!(
        world.outcome("alpha/a2"),
        "model_blocked",
        "its own grants cap"
    );
    assert_eq!(world.outcome("beta/b1"), "provider_blocked");
}

#[test]
fn a_copy_that_has_ended_is_looked_at_and_says_why() {
    let mut expired = copy(1, vec![config("alpha", "*", "")]);
    expired.expires_at = Some(NOW);
    let world = World::new()
        .with_copy(&expired)
        .with_copy(&copy(2, vec![config("beta", "*", "")]));
    let plan = world.plan("alpha/a1");
    let reasons: Vec<_> = plan
        .considered
        .iter()
        .filter_map(|each| match &each.outcome {
            Outcome::Refuses(refusal) => Some((refusal.kind, refusal.message.as_str())),
            Outcome::Applies => None,
        })
        .collect();
    assert_eq!(reasons.len(), 2);
    assert_eq!(reasons[1].0, ErrorKind::AccessBlocked);
    assert!(reasons[1].1.contains("expired at"), "{}", reasons[1].1);
    assert_eq!(plan.refusal.unwrap().kind, ErrorKind::ProviderBlocked);
}

#[test]
fn expired_and_inactive_copies_grant_nothing() {
    let mut expired = copy(1, vec![config("alpha", "*", "")]);
    expired.expires_at = Some(NOW);
    assert_eq!(
        World::new().with_copy(&expired).outcome("alpha/a1"),
        "access_blocked"
    );
    let mut inactive = copy(1, vec![config("alpha", "*", "")]);
    inactive.is_active = false;
    assert_eq!(
        World::new().with_copy(&inactive).outcome("alpha/a1"),
        "access_blocked"
    );
    // The key's own grants must not come to life when the copies die.
    assert_eq!(
        World::new()
            .with_copy(&expired)
            .with_key_grant("alpha", "*")
            .outcome("alpha/a1"),
        "access_blocked"
    );
    let last_instant = Some(NOW.saturating_add_micros(1));
    expired.expires_at = last_instant;
    assert_eq!(
        World::new().with_copy(&expired).outcome("alpha/a1"),
        "profile-1>alpha/a1"
    );
}

#[test]
fn a_keys_own_grants_cap_a_holder_with_copies_and_grant_without() {
    let world = World::new().with_copy(&copy(
        1,
        vec![config("alpha", "*", ""), config("beta", "*", "")],
    ));
    let capped = world.with_key_grant("alpha", "a1");
    assert_eq!(capped.outcome("alpha/a1"), "profile-1>alpha/a1");
    assert_eq!(capped.outcome("alpha/a2"), "model_blocked");
    assert_eq!(capped.outcome("beta/b1"), "provider_blocked");
    let alone = World::new().with_key_grant("alpha", "a1");
    assert_eq!(alone.outcome("alpha/a1"), "key>alpha/a1");
    assert_eq!(alone.outcome("alpha/a2"), "model_blocked");
}

#[test]
fn a_restricting_group_profile_caps_every_grant() {
    let own = copy(1, vec![config("alpha", "*", ""), config("beta", "*", "")]);
    let cap = copy(9, vec![config("alpha", "a1", "")]);
    let world = World::new()
        .with_copy(&own)
        .with_team_profile(GroupProfileMode::Restrict, &cap);
    assert_eq!(world.outcome("alpha/a1"), "profile-1>alpha/a1");
    assert_eq!(world.outcome("alpha/a2"), "model_blocked");
    assert_eq!(world.outcome("beta/b1"), "provider_blocked");
}

#[test]
fn a_restricting_profile_grants_nothing_by_itself() {
    let cap = copy(9, vec![config("alpha", "*", "")]);
    let world = World::new().with_team_profile(GroupProfileMode::Restrict, &cap);
    assert_eq!(world.outcome("alpha/a1"), "provider_blocked");
}

#[test]
fn a_uniting_group_profile_adds_and_pays_after_own_copies() {
    let shared = copy(9, vec![config("alpha", "*", "")]);
    let world = World::new()
        .with_copy(&copy(1, vec![config("alpha", "a1", "")]))
        .with_team_profile(GroupProfileMode::Unite, &shared);
    assert_eq!(
        world.outcome("alpha/a1"),
        "profile-1>alpha/a1 profile-9>alpha/a1"
    );
    assert_eq!(world.outcome("alpha/a2"), "profile-9>alpha/a2");
}

#[test]
fn inactive_keys_and_users_are_blocked() {
    let granted = || World::new().with_copy(&copy(1, vec![config("alpha", "*", "")]));
    let mut world = granted();
    world.key.is_active = false;
    assert_eq!(world.refusal("alpha/a1"), Some(ErrorKind::AccessBlocked));
    let mut world = granted();
    world.key.expires_at = Some(NOW);
    assert_eq!(world.refusal("alpha/a1"), Some(ErrorKind::AccessBlocked));
    let mut world = granted();
    world.user.is_active = false;
    assert_eq!(world.refusal("alpha/a1"), Some(ErrorKind::AccessBlocked));
}

#[test]
fn an_unknown_price_is_refused_or_allowed_by_the_copy_that_pays() {
    let denying = copy(1, vec![config("alpha", "*", "")]);
    let allowing = allow_unknown_prices(copy(2, vec![config("alpha", "*", "")]));
    let mut world = World::new().with_copy(&denying);
    world.unpriced = vec!["a1"];
    assert_eq!(world.outcome("alpha/a1"), "price_unknown");
    assert_eq!(world.outcome("alpha/never-heard-of"), "price_unknown");
    let world = World {
        unpriced: vec!["a1"],
        ..World::new().with_copy(&denying).with_copy(&allowing)
    };
    assert_eq!(world.outcome("alpha/a1"), "profile-2>alpha/a1");
}

#[test]
fn every_level_contributes_its_meters_rates_first() {
    let mut paying = copy(1, vec![config("alpha", "*", "")]);
    paying.content.limits.budgets = vec![budget(10, "5")];
    paying.content.provider_configs[0].limits.budgets = vec![budget(11, "2")];
    let mut cap = copy(9, vec![config("alpha", "*", "")]);
    cap.content.limits.budgets = vec![budget(12, "100")];
    let world = World::new()
        .with_copy(&paying)
        .with_team_profile(GroupProfileMode::Restrict, &cap);
    let plan = world.plan("alpha/a1");
    let scopes: Vec<_> = plan.candidates[0]
        .needs
        .iter()
        .map(|need| {
            (
                need.meter.holder.name.to_string(),
                need.meter.scope.to_string(),
            )
        })
        .collect();
    let expect = [
        ("profile-1", "provider:alpha"),
        ("profile-1", "total"),
        ("profile-9", "total"),
    ];
    assert_eq!(
        scopes,
        expect.map(|(name, scope)| (name.to_owned(), scope.to_owned()))
    );
    assert!(
        plan.candidates[0]
            .needs
            .iter()
            .all(|need| need.meter.id.kind == MeterKind::Money && need.amount > 0)
    );
}

#[test]
fn an_override_raises_the_limit_until_it_ends() {
    let mut copy = copy(1, vec![config("alpha", "*", "")]);
    let line = budget(10, "5");
    let until = NOW.saturating_add_micros(1);
    copy.overrides.insert(
        line.id,
        Boost {
            amount: 3_000_000_000,
            until: Some(until),
        },
    );
    copy.content.limits.budgets = vec![line];
    let plan = World::new().with_copy(&copy).plan("alpha/a1");
    let meter = &plan.candidates[0].needs[0].meter;
    assert_eq!(meter.effective_limit(NOW), 8_000_000_000);
    assert_eq!(meter.effective_limit(until), 5_000_000_000);
    // A raise beyond all measure is no limit, rather than one below zero.
    let mut boundless = tollgate_domain::limits::Meter::clone(meter);
    boundless.boost = Some(Boost {
        amount: i64::MAX,
        until: None,
    });
    assert_eq!(boundless.effective_limit(NOW), i64::MAX);
}

#[test]
fn a_bound_asked_for_above_binds_the_payer() {
    let mut world = World::new().with_copy(&copy(1, vec![config("alpha", "*", "")]));
    world.key.settings.reservation = Reservation::Bound;
    assert!(
        !world.plan("alpha/a1").candidates[0].estimate.is_bound,
        "a key without a budget has nothing to protect"
    );
    let holder = world.user.copies[0].clone();
    let mut with_budget = copy(2, vec![]);
    with_budget.content.limits.budgets = vec![budget(10, "5")];
    world.key.meters = with_budget.compile().unwrap().meters;
    assert!(world.plan("alpha/a1").candidates[0].estimate.is_bound);
    assert_eq!(holder.settings.reservation, Reservation::Estimate);
}

/// A budget on one provider is as much a budget as one on everything: of the key's own list, and of a profile that caps.
#[test]
fn a_bound_asked_for_by_a_cap_binds_the_payer() {
    type Limits = fn(&mut UserCopy);
    let both = || vec![config("alpha", "*", ""), config("beta", "*", "")];
    let capping = |limits: Limits| {
        let mut cap = copy(9, both());
        cap.content.reservation = Reservation::Bound;
        limits(&mut cap);
        cap
    };
    let is_bound = |world: &World, name: &str| world.plan(name).candidates[0].estimate.is_bound;
    let on_all = |cap: &mut UserCopy| cap.content.limits.budgets = vec![budget(10, "5")];
    let on_alpha = |cap: &mut UserCopy| {
        cap.content.provider_configs[0].limits.budgets = vec![budget(10, "5")];
    };
    let without = |_: &mut UserCopy| {};
    let limits: [(Limits, bool, bool); 3] = [
        (without, false, false),
        (on_all, true, true),
        (on_alpha, true, false),
    ];
    for (limits, alpha, beta) in limits {
        let holding = || World::new().with_copy(&copy(1, both()));
        let capped = |cap: &UserCopy| holding().with_team_profile(GroupProfileMode::Restrict, cap);
        let mut worlds = vec![capped(&capping(limits))];
        let mut own = holding();
        let content = capping(limits).compile().unwrap();
        own.key.grants.clone_from(&content.grants);
        own.key.meters.clone_from(&content.meters);
        own.key.settings = content.settings;
        worlds.push(own);
        for world in &worlds {
            assert_eq!(is_bound(world, "alpha/a1"), alpha);
            assert_eq!(is_bound(world, "beta/b1"), beta);
        }
        let shadow = capped(&in_shadow(capping(limits)));
        assert!(
            !is_bound(&shadow, "alpha/a1"),
            "a cap in shadow caps nothing"
        );
    }
}

/// Images and audio fit the context, where that is known; what else has no bound is still refused.
#[test]
fn media_is_bound_by_the_context_of_the_model() {
    let mut bound = copy(1, vec![config("alpha", "*", "")]);
    bound.content.reservation = Reservation::Bound;
    let mut world = World::new().with_copy(&bound);
    world.has_media = true;
    let refusal = world.plan("alpha/a1").refusal.unwrap();
    assert_eq!(refusal.kind, ErrorKind::InvalidRequest);
    assert!(refusal.message.contains("no context size"), "{refusal}");
    let mut snapshot = world.snapshot();
    snapshot.set_catalog(Catalog::with_overrides([(
        "alpha".parse().unwrap(),
        "a1".to_owned(),
        ModelInfo {
            price: Some(ModelPrice::default()),
            context_window: Some(3_000),
            ..ModelInfo::default()
        },
    )]));
    let plan = world.plan_on(&snapshot, "alpha/a1");
    assert_eq!(plan.candidates[0].estimate.input_tokens, 3_000);
    world.unbounded = Some("a tool that runs at the provider");
    let refusal = world.plan_on(&snapshot, "alpha/a1").refusal.unwrap();
    assert!(refusal.message.contains("a tool"), "{refusal}");
    let estimating = World {
        has_media: true,
        ..World::new().with_copy(&copy(1, vec![config("alpha", "*", "")]))
    };
    assert_eq!(estimating.outcome("alpha/a1"), "profile-1>alpha/a1");
}

#[test]
fn a_key_without_holder_pays_by_itself() {
    let mut world = World::new().with_key_grant("alpha", "a1");
    world.key.holder = KeyHolder::Itself;
    assert_eq!(world.outcome("alpha/a1"), "key>alpha/a1");
}
