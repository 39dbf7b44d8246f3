//! What does not depend on the model: the key, its holder, the provider, and the limits on everything.

use proptest::prelude::*;
use tollgate_domain::access::profile::UserCopy;
use tollgate_domain::snapshot::GroupProfileMode;

use crate::properties::{MODELS, any_configs};
use crate::world::{World, budget, config, copy, in_shadow, payers};

fn outcome(world: &World, provider: Option<&str>) -> String {
    payers(&world.any_model(provider))
}

#[test]
fn every_granted_provider_is_told_of_in_the_order_of_payers_and_weights() {
    let mut heavy = config("beta", "*", "");
    heavy.weight = Some(2.0);
    let world = World::new()
        .with_copy(&copy(1, vec![config("alpha", "a1", ""), heavy]))
        .with_copy(&copy(2, vec![config("alpha", "*", "")]));
    assert_eq!(
        outcome(&world, None),
        "profile-1>beta profile-1>alpha profile-2>alpha"
    );
    assert_eq!(
        outcome(&world, Some("ALPHA")),
        "profile-1>alpha profile-2>alpha"
    );
}

#[track_caller]
fn check(copy: &UserCopy, provider: Option<&str>, expect: &str) {
    assert_eq!(outcome(&World::new().with_copy(copy), provider), expect);
}

#[test]
fn what_opens_nothing_is_refused_with_its_reason() {
    let only_alpha = || copy(1, vec![config("alpha", "a1", "")]);
    check(&only_alpha(), Some("beta"), "provider_blocked");
    check(&only_alpha(), Some("nobody"), "provider_blocked");
    check(&copy(1, vec![]), None, "provider_blocked");
    let nowhere = copy(1, vec![config("not-configured", "*", "")]);
    check(&nowhere, None, "provider_blocked");
    check(
        &copy(1, vec![config("alpha", "", "")]),
        None,
        "model_blocked",
    );
    check(
        &copy(1, vec![config("alpha", "*", "*")]),
        None,
        "model_blocked",
    );
    let mut keyless = only_alpha();
    keyless.content.provider_configs[0].key_ids = Some(vec![]);
    check(&keyless, None, "provider_blocked");
    let mut ended = only_alpha();
    ended.is_active = false;
    check(&ended, None, "access_blocked");
    check(&in_shadow(copy(1, vec![])), Some("beta"), "profile-1>beta");
    check(
        &in_shadow(copy(1, vec![])),
        None,
        "profile-1>alpha profile-1>beta",
    );
}

#[test]
fn caps_hold_for_whole_providers() {
    let own = copy(1, vec![config("alpha", "*", ""), config("beta", "*", "")]);
    let capped = World::new().with_copy(&own).with_key_grant("alpha", "a1");
    assert_eq!(outcome(&capped, None), "profile-1>alpha");
    assert_eq!(outcome(&capped, Some("beta")), "provider_blocked");
    let closed = World::new().with_copy(&own).with_key_grant("alpha", "");
    assert_eq!(outcome(&closed, Some("alpha")), "model_blocked");
    let cap = copy(9, vec![config("beta", "b1", "")]);
    let team = World::new()
        .with_copy(&own)
        .with_team_profile(GroupProfileMode::Restrict, &cap);
    assert_eq!(outcome(&team, None), "profile-1>beta");
}

#[test]
fn only_limits_that_hold_for_every_model_are_needed() {
    let mut paying = copy(1, vec![config("alpha", "*", "")]);
    paying.content.limits.budgets = vec![budget(10, "5")];
    let alpha = &mut paying.content.provider_configs[0];
    alpha.limits.budgets = vec![budget(11, "2")];
    let of_model = |model: &str, number| tollgate_domain::access::profile::ModelBudget {
        model: model.to_owned(),
        limits: tollgate_domain::limits::LimitSet {
            budgets: vec![budget(number, "1")],
            ..Default::default()
        },
    };
    alpha.model_budgets = vec![of_model("a1", 12), of_model("*", 13)];
    let plan = World::new().with_copy(&paying).any_model(None);
    let needs = plan.candidates[0].needs.iter();
    let scopes: Vec<_> = needs
        .map(|need| (need.meter.scope.to_string(), need.amount))
        .collect();
    let expect = ["provider:alpha", "provider:alpha/model:*", "total"];
    assert_eq!(scopes, expect.map(|scope| (scope.to_owned(), 0)));
}

proptest! {
    /// Whoever may call some model of a provider is told that the provider is open.
    #[test]
    fn no_provider_is_closed_that_serves_a_model(first in any_configs(), second in any_configs()) {
        let world = World::new()
            .with_copy(&copy(1, first))
            .with_copy(&copy(2, second));
        for model in MODELS {
            if world.plan(model).refusal.is_none() {
                prop_assert!(world.any_model(None).refusal.is_none(), "{}", model);
            }
        }
    }
}
