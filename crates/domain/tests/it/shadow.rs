//! Profiles in shadow mode: what they would have refused passes, is noted, and comes last.

use proptest::prelude::*;
use tollgate_domain::ErrorKind;
use tollgate_domain::access::Refusal;
use tollgate_domain::access::profile::{ProviderConfig, Reservation, UserCopy};
use tollgate_domain::snapshot::GroupProfileMode;

use crate::properties::{MODELS, any_configs};
use crate::world::{NOW, World, budget, config, copy, grant, in_shadow, route};

/// Each candidate with the code of what its shadow would have refused it with.
fn outcome(world: &World, model: &str) -> Vec<(String, Option<&'static str>)> {
    let candidates = world.plan(model).candidates;
    let told = candidates.iter().map(|candidate| {
        let code = candidate.shadowed.as_ref().map(|it| it.kind.code());
        (route(candidate), code)
    });
    told.collect()
}

/// The only candidate of a copy in shadow mode, and that the copy refuses with this when it is not.
#[track_caller]
fn check(change: impl Fn(&mut World), profile: &UserCopy, model: &str, kind: ErrorKind) {
    let world = |profile: &UserCopy| {
        let mut world = World::new().with_copy(profile);
        change(&mut world);
        world
    };
    let refusal = world(profile).plan(model).refusal.unwrap();
    let plan = world(&in_shadow(profile.clone())).plan(model);
    assert_eq!(plan.candidates.len(), 1, "{plan:?}");
    let candidate = &plan.candidates[0];
    assert_eq!(refusal.kind, kind);
    let told = Refusal {
        kind,
        message: refusal.message,
    };
    assert_eq!(candidate.shadowed.as_deref(), Some(&told));
    assert!(candidate.needs.iter().all(|need| !need.is_enforced));
    assert!(!candidate.keys.is_empty() && plan.refusal.is_none());
}

#[test]
fn each_refusal_of_policy_is_noted_and_not_made() {
    let only_a1 = || copy(1, vec![config("alpha", "a1", "")]);
    let plain = |_: &mut World| {};
    check(
        plain,
        &copy(1, vec![]),
        "alpha/a1",
        ErrorKind::ProviderBlocked,
    );
    check(plain, &only_a1(), "beta/b1", ErrorKind::ProviderBlocked);
    check(plain, &only_a1(), "alpha/a2", ErrorKind::ModelBlocked);
    let denying = copy(1, vec![config("alpha", "*", "a1")]);
    check(plain, &denying, "alpha/a1", ErrorKind::ModelBlocked);
    let mut keyless = only_a1();
    keyless.content.provider_configs[0].key_ids = Some(vec![]);
    check(plain, &keyless, "alpha/a1", ErrorKind::ProviderBlocked);
    let unpriced = |world: &mut World| world.unpriced = vec!["a1"];
    check(unpriced, &only_a1(), "alpha/a1", ErrorKind::PriceUnknown);
    let mut bound = only_a1();
    bound.content.reservation = Reservation::Bound;
    let unbounded = |world: &mut World| world.unbounded = Some("it says nothing");
    check(unbounded, &bound, "alpha/a1", ErrorKind::InvalidRequest);
}

#[test]
fn a_bare_name_goes_to_the_one_provider_that_offers_it() {
    let nothing = in_shadow(copy(1, vec![]));
    let world = World::new().with_copy(&nothing);
    assert_eq!(world.outcome("b1"), "profile-1>beta/b1");
    assert_eq!(world.outcome("both"), "model_ambiguous");
    assert_eq!(world.outcome("nobody-has-it"), "model_blocked");
    assert_eq!(
        world.outcome("gamma/b1"),
        "model_blocked",
        "no such provider"
    );
    let mut weighted = config("alpha", "", "");
    weighted.weight = Some(1.0);
    let world = World::new().with_copy(&in_shadow(copy(1, vec![weighted])));
    assert_eq!(
        world.outcome("both"),
        "profile-1>alpha/both profile-1>beta/both"
    );
}

#[test]
fn what_is_really_allowed_is_tried_first() {
    let mut nothing = in_shadow(copy(1, vec![]));
    nothing.priority = -1;
    let world = World::new()
        .with_copy(&nothing)
        .with_copy(&copy(2, vec![config("alpha", "*", "")]));
    assert_eq!(
        outcome(&world, "alpha/a1"),
        [
            ("profile-2>alpha/a1".to_owned(), None),
            ("profile-1>alpha/a1".to_owned(), Some("provider_blocked"))
        ]
    );
}

#[test]
fn everything_else_still_refuses() {
    let nothing = in_shadow(copy(1, vec![]));
    let shadow = || World::new().with_copy(&nothing);
    let cap = copy(9, vec![config("alpha", "a1", "")]);
    let world = shadow().with_team_profile(GroupProfileMode::Restrict, &cap);
    assert_eq!(world.outcome("alpha/a1"), "profile-1>alpha/a1");
    assert_eq!(world.outcome("alpha/a2"), "model_blocked");
    let world = shadow().with_key_grant("alpha", "a1");
    assert_eq!(world.outcome("alpha/a2"), "model_blocked");
    assert_eq!(world.outcome("beta/b1"), "provider_blocked");
    let mut world = shadow();
    world.key.is_active = false;
    assert_eq!(world.outcome("alpha/a1"), "access_blocked");
    let mut world = shadow();
    world.user.is_active = false;
    assert_eq!(world.outcome("alpha/a1"), "access_blocked");
    let mut expired = nothing.clone();
    expired.expires_at = Some(NOW);
    let world = World::new().with_copy(&expired);
    assert_eq!(world.outcome("alpha/a1"), "access_blocked");
    let mut no_key_of_it = grant("alpha", "*");
    no_key_of_it.key_ids = Some(vec![]);
    let mut world = shadow();
    world.key.grants.push(no_key_of_it);
    assert_eq!(world.outcome("alpha/a1"), "provider_blocked");
}

#[test]
fn a_level_above_that_asks_for_a_bound_gets_it() {
    let mut bound = copy(1, vec![config("alpha", "*", "")]);
    bound.content.reservation = Reservation::Bound;
    let mut world = World::new().with_copy(&in_shadow(bound));
    world.unbounded = Some("it says nothing");
    let estimate = world.plan("alpha/a1").candidates.remove(0);
    assert_eq!(estimate.settings.reservation, Reservation::Estimate);
    let limits = tollgate_domain::limits::LimitSet {
        budgets: vec![budget(1, "1")],
        ..Default::default()
    };
    let mut above = copy(2, vec![]);
    above.content.limits = limits;
    world.key.meters = above.compile().unwrap().meters;
    world.key.settings.reservation = Reservation::Bound;
    assert_eq!(world.outcome("alpha/a1"), "invalid_request");
}

#[test]
fn a_cap_in_shadow_counts_and_tells_and_does_not_cap() {
    let mut cap = copy(9, vec![config("alpha", "a1", "")]);
    cap.content.limits.budgets = vec![budget(1, "1")];
    let own = copy(1, vec![config("alpha", "*", "")]);
    let world = |cap: &_| {
        World::new()
            .with_copy(&own)
            .with_team_profile(GroupProfileMode::Restrict, cap)
    };
    assert_eq!(world(&cap).outcome("alpha/a2"), "model_blocked");
    let world = world(&in_shadow(cap));
    let told = |code| [("profile-1>alpha/a2".to_owned(), code)];
    assert_eq!(outcome(&world, "alpha/a2"), told(Some("model_blocked")));
    assert_eq!(
        world.outcome("beta/b1"),
        "provider_blocked",
        "by its own copy"
    );
    let allowed = world.plan("alpha/a1").candidates.remove(0);
    assert!(allowed.shadowed.is_none());
    assert_eq!(allowed.needs.len(), 1);
    assert!(!allowed.needs[0].is_enforced);
}

/// Copies with what they say of providers and whether they are in shadow mode, in the order in which they pay.
fn world(copies: &[(Vec<ProviderConfig>, bool)], with_shadow: bool) -> World {
    (1..)
        .zip(copies)
        .fold(World::new(), |world, (number, (configs, is_shadow))| {
            let plain = copy(number, configs.clone());
            world.with_copy(&if *is_shadow && with_shadow {
                in_shadow(plain)
            } else {
                plain
            })
        })
}

fn any_copies() -> impl Strategy<Value = Vec<(Vec<ProviderConfig>, bool)>> {
    let keys = prop::bool::weighted(0.8);
    let configs = (any_configs(), keys).prop_map(|(mut configs, has_keys)| {
        for config in configs.iter_mut().filter(|_| !has_keys) {
            config.key_ids = Some(vec![]);
        }
        configs
    });
    prop::collection::vec((configs, any::<bool>()), 0..4)
}

fn any_model() -> impl Strategy<Value = &'static str> {
    let mut names = MODELS.to_vec();
    names.extend(["a1", "both", "b1", "nobody-has-it", "gamma/a1"]);
    prop::sample::select(names)
}

proptest! {
    /// Shadow mode only ever adds, and behind everything else.
    #[test]
    fn what_is_allowed_without_shadow_is_allowed_first_and_in_the_same_order(
        copies in any_copies(), model in any_model(), unpriced in any::<bool>(),
    ) {
        let plan = |with_shadow| {
            let mut world = world(&copies, with_shadow);
            world.unpriced = if unpriced { vec!["a1", "both"] } else { vec![] };
            outcome(&world, model)
        };
        let (without, with) = (plan(false), plan(true));
        prop_assert!(without.iter().all(|(_, shadowed)| shadowed.is_none()));
        prop_assert_eq!(&with[..without.len()], &without[..]);
        prop_assert!(with[without.len()..].iter().all(|(_, shadowed)| shadowed.is_some()));
    }

    /// Only copies in shadow mode pay for what no copy allows.
    #[test]
    fn denied_stays_denied_where_there_is_no_shadow(copies in any_copies(), model in any_model()) {
        let (without, with) = (world(&copies, false), world(&copies, true));
        let shadows: Vec<_> = (1..).zip(&copies).filter(|(_, (_, is_shadow))| *is_shadow)
            .map(|(number, _): (u8, _)| format!("profile-{number}>")).collect();
        for (route, _) in &outcome(&with, model)[outcome(&without, model).len()..] {
            prop_assert!(shadows.iter().any(|payer| route.starts_with(payer)));
        }
        if shadows.is_empty() {
            prop_assert_eq!(with.outcome(model), without.outcome(model));
        }
    }

    #[test]
    fn a_copy_in_shadow_refuses_nothing_that_there_is(
        copies in any_copies(), shadow in any_configs(), model in prop::sample::select(MODELS.to_vec()), unpriced in any::<bool>(),
    ) {
        let mut world = world(&copies, true).with_copy(&in_shadow(copy(9, shadow)));
        world.unpriced = if unpriced { vec!["a1", "both"] } else { vec![] };
        prop_assert!(world.plan(model).refusal.is_none());
    }

    /// Caps that are not in shadow mode hold whatever the copies are.
    #[test]
    fn a_cap_holds_in_shadow_as_without(copies in any_copies(), cap in any_configs(), model in any_model()) {
        let cap = copy(9, cap);
        let world = world(&copies, true).with_team_profile(GroupProfileMode::Restrict, &cap);
        for candidate in world.plan(model).candidates {
            let compiled = cap.compile().unwrap();
            let grant = compiled.grant(&candidate.provider.name);
            prop_assert!(grant.is_some_and(|grant| grant.allows(&candidate.model)));
        }
    }
}
