//! What must hold for every profile, whatever it says.

use proptest::prelude::*;
use tollgate_domain::access::profile::ProviderConfig;

use crate::world::{World, config, copy};

pub(crate) const MODELS: [&str; 5] = ["alpha/a1", "alpha/a2", "alpha/both", "beta/b1", "beta/both"];

fn any_list() -> impl Strategy<Value = String> {
    let entry = prop::sample::select(vec![
        "*",
        "a1",
        "a2",
        "both",
        "b1",
        "regex:a.*",
        "regex:b.*|both",
    ]);
    prop::collection::vec(entry, 0..3).prop_map(|entries| entries.join(" "))
}

pub(crate) fn any_configs() -> impl Strategy<Value = Vec<ProviderConfig>> {
    (
        prop::option::of((any_list(), any_list())),
        prop::option::of((any_list(), any_list())),
    )
        .prop_map(|(alpha, beta)| {
            let entry = |name, lists: Option<(String, String)>| {
                lists.map(|(allow, deny)| config(name, &allow, &deny))
            };
            [entry("alpha", alpha), entry("beta", beta)]
                .into_iter()
                .flatten()
                .collect()
        })
}

fn world(copies: &[Vec<ProviderConfig>]) -> World {
    (1..)
        .zip(copies)
        .fold(World::new(), |world, (number, configs)| {
            world.with_copy(&copy(number, configs.clone()))
        })
}

fn allowed(world: &World) -> Vec<&'static str> {
    MODELS
        .into_iter()
        .filter(|model| world.refusal(model).is_none())
        .collect()
}

proptest! {
    #[test]
    fn a_further_denial_never_widens_access(configs in any_configs(), provider in 0_usize..2, model in "a1|a2|both|b1|\\*") {
        let before = allowed(&world(std::slice::from_ref(&configs)));
        let mut denied = configs;
        if let Some(config) = denied.get_mut(provider) {
            config.blacklisted_models.push(model);
        }
        for model in allowed(&world(&[denied])) {
            prop_assert!(before.contains(&model));
        }
    }

    #[test]
    fn a_further_copy_never_narrows_access(first in any_configs(), second in any_configs()) {
        let both = allowed(&world(&[first.clone(), second]));
        for model in allowed(&world(&[first])) {
            prop_assert!(both.contains(&model));
        }
    }

    #[test]
    fn what_is_allowed_does_not_depend_on_the_order_of_copies(first in any_configs(), second in any_configs()) {
        prop_assert_eq!(allowed(&world(&[first.clone(), second.clone()])), allowed(&world(&[second, first])));
    }

    #[test]
    fn a_key_never_widens_its_holder(copies in prop::collection::vec(any_configs(), 1..3), list in any_list()) {
        let without = allowed(&world(&copies));
        let with = allowed(&world(&copies).with_key_grant("alpha", &list));
        for model in with {
            prop_assert!(without.contains(&model));
        }
    }

    #[test]
    fn the_same_state_gives_the_same_decision(copies in prop::collection::vec(any_configs(), 0..3), name in "\\PC{0,20}") {
        let world = world(&copies);
        prop_assert_eq!(world.outcome(&name), world.outcome(&name));
    }
}
