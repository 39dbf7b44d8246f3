//! Which provider and model a name stands for.

use crate::world::{World, config, copy};

fn both_granted() -> World {
    World::new().with_copy(&copy(
        1,
        vec![config("alpha", "*", ""), config("beta", "*", "")],
    ))
}

#[test]
fn a_first_part_is_a_provider_only_when_one_has_that_name() {
    let mut world = both_granted();
    world.providers.push(("gamma", vec!["meta-llama/llama-3"]));
    let granted = copy(2, vec![config("gamma", "meta-llama/Llama-3", "")]);
    let world = world.with_copy(&granted);
    assert_eq!(
        world.outcome("meta-llama/Llama-3"),
        "profile-2>gamma/meta-llama/Llama-3"
    );
    assert_eq!(
        world.outcome("gamma/meta-llama/llama-3"),
        "profile-2>gamma/meta-llama/llama-3"
    );
    assert_eq!(world.outcome("ALPHA/A1"), "profile-1>alpha/A1");
}

#[test]
fn a_bare_name_goes_where_it_is_offered() {
    assert_eq!(both_granted().outcome("a1"), "profile-1>alpha/a1");
    assert_eq!(both_granted().outcome("b1"), "profile-1>beta/b1");
}

#[test]
fn a_bare_name_that_nothing_orders_is_ambiguous() {
    assert_eq!(both_granted().outcome("both"), "model_ambiguous");
    assert_eq!(both_granted().outcome("alpha/both"), "profile-1>alpha/both");
}

#[test]
fn weights_order_providers_of_a_bare_name() {
    let mut alpha = config("alpha", "*", "");
    let mut beta = config("beta", "*", "");
    (alpha.weight, beta.weight) = (Some(1.0), Some(2.0));
    let world = World::new().with_copy(&copy(1, vec![alpha, beta]));
    assert_eq!(
        world.outcome("both"),
        "profile-1>beta/both profile-1>alpha/both"
    );
}

#[test]
fn payers_order_providers_of_different_copies() {
    let world = World::new()
        .with_copy(&copy(1, vec![config("beta", "both", "")]))
        .with_copy(&copy(2, vec![config("alpha", "both", "")]));
    assert_eq!(
        world.outcome("both"),
        "profile-1>beta/both profile-2>alpha/both"
    );
}

#[test]
fn hostile_names_are_only_names() {
    for name in [
        "",
        "/",
        "alpha/",
        "/a1",
        "alpha//a1",
        "alpha/../beta/b1",
        "alpha/a1\0",
        "алфа/a1",
        "regex:.*",
        "*",
    ] {
        let outcome = both_granted().outcome(name);
        assert!(
            !outcome.contains("a1 ") && !outcome.ends_with("/a1") && !outcome.ends_with("/b1"),
            "{name:?} {outcome}"
        );
    }
}
