use tollgate_domain::access::ModelList;
use tollgate_testkit::entities::{catalog, copy, grant, model_info, provider, snapshot_with};

use super::kit::*;

#[test]
fn what_is_listed_can_be_called_and_nothing_else() {
    let mut granted = grant("mock");
    granted.blacklisted = ModelList::compile(&["large"]).unwrap();
    let mut starter = copy("starter");
    starter.grants = vec![granted, grant("elsewhere")];
    let known = ["small", "large", "Mixed-Case"].map(|model| ("mock", model, model_info(1, 2)));
    let test = TestGate::new(snapshot_with(
        starter,
        provider("mock", "http://127.0.0.1:1"),
        catalog(known),
    ));
    let listed: Vec<_> = test
        .gate
        .models(&test.caller())
        .unwrap()
        .iter()
        .map(crate::ModelListing::id)
        .collect();
    assert_eq!(listed, ["mock/Mixed-Case", "mock/small"]);
    for model in [
        "mock/Mixed-Case",
        "mock/small",
        "mock/large",
        "mock/unheard-of",
    ] {
        let is_listed = listed.iter().any(|name| name == model);
        assert_eq!(test.admit(&request(model, 1)).is_ok(), is_listed, "{model}");
    }
}
