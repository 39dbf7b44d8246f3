//! Profiles in shadow mode: what passes, what is told, and that everybody tells the same.

use std::sync::Arc;

use tollgate_domain::access::{Copy, Decision, Explain as _, ModelList, Settings};
use tollgate_domain::accounting::{Outcome, Shadow};
use tollgate_domain::{ErrorKind, Usd};
use tollgate_testkit::entities::{copy, grant};

use super::kit::*;

const SHADOW: Settings = Settings {
    reservation: tollgate_domain::access::profile::Reservation::Estimate,
    on_unknown_price: tollgate_domain::access::profile::OnUnknownPrice::Deny,
    shadow: true,
};

const DENIED: Shadow = Shadow {
    kind: ErrorKind::ModelBlocked,
    limit: None,
};

fn explain(test: &TestGate, model: &str) -> Decision {
    let question = question(test, &request(model, 1));
    test.gate.explain(&question).unwrap()
}

/// A profile in shadow mode that allows `small` and denies everything else.
fn trial() -> Copy {
    let mut granted = grant("mock");
    granted.allowed = ModelList::compile(&["small"]).unwrap();
    Copy {
        grants: vec![granted],
        settings: SHADOW,
        ..copy("trial")
    }
}

#[test]
fn shadow_lets_pass_and_tells_but_levels_above_hold() {
    let line = budget("total", 1);
    let mut copy = limited("trial", [line.clone()]);
    copy.settings = SHADOW;
    let mut snapshot = world(copy);
    let test = TestGate::new(snapshot.clone());
    let admission = test.admit(&request("mock/small", 4_096)).unwrap();
    let of_line = Shadow::of_limit(line.id, false);
    assert_eq!(admission.shadow(), Some(of_line));
    drop(admission);
    assert_eq!(
        test.metric("tollgate_shadow_refusals_total{code=\"budget_exceeded\"}"),
        1
    );
    let mut mock = tollgate_testkit::entities::provider("mock", "http://127.0.0.1:1");
    mock.meters = vec![Arc::new(budget("provider", 1))];
    snapshot.set_providers([mock]);
    test.gate.publish(snapshot);
    assert_eq!(
        test.admit(&request("mock/small", 4_096)).unwrap_err().kind,
        ErrorKind::BudgetExceeded
    );
}

#[test]
fn refusals_of_policy_are_counted_by_code_and_cost_what_is_known() {
    let test = TestGate::new(world(trial()));
    let mut admission = test.admit(&request("mock/large", 1)).unwrap();
    assert_eq!(admission.shadow(), Some(DENIED));
    admission.mark_dispatched();
    let settled = admission.settle(reported(1_000_000, 10));
    assert_eq!(settled.cost, Usd::ZERO, "its price is unknown");
    let allowed = test.admit(&request("mock/small", 1)).unwrap();
    assert_eq!(allowed.shadow(), None);
    assert_eq!(
        test.metric("tollgate_shadow_refusals_total{code=\"model_blocked\"}"),
        1
    );
}

#[test]
fn another_attempt_of_the_same_request_is_not_told_again() {
    let test = TestGate::new(world(trial()));
    let asked = request("mock/large", 1);
    let mut admission = test.admit(&asked).unwrap();
    admission.exchange(&asked, |_| true).unwrap();
    assert_eq!(admission.shadow(), Some(DENIED));
    assert_eq!(
        test.metric("tollgate_shadow_refusals_total{code=\"model_blocked\"}"),
        1
    );
}

#[test]
fn explain_says_what_the_shadow_would_have_refused() {
    let test = TestGate::new(world(trial()));
    let decision = explain(&test, "mock/large");
    assert!(decision.allowed && decision.reason.is_none());
    let [one] = &decision.considered[..] else {
        panic!("{decision:?}");
    };
    assert!(one.applies && one.reason.is_none());
    let shadow = one.shadow.as_ref().unwrap();
    assert_eq!((shadow.code, shadow.status), ("model_blocked", 403));
    assert!(shadow.message.contains("`trial` does not grant"));
    let considered = explain(&test, "mock/small").considered;
    assert!(considered.iter().all(|one| one.shadow.is_none()));
}

#[test]
fn explain_says_which_limit_of_the_shadow_is_full() {
    let mut copy = limited("trial", [budget("total", 1)]);
    copy.settings = SHADOW;
    let test = TestGate::new(world(copy));
    let decision = explain(&test, "mock/small");
    assert!(decision.allowed && !decision.meters[0].is_enforced);
    let shadow = decision.considered[0].shadow.as_ref().unwrap();
    assert_eq!(shadow.code, "budget_exceeded");
}

#[test]
fn what_is_listed_in_shadow_can_be_called() {
    let mut copy = trial();
    copy.grants[0].allowed = ModelList::default();
    let test = TestGate::new(world(copy));
    let listed = test.gate.models(&test.caller()).unwrap();
    let names: Vec<_> = listed.iter().map(crate::ModelListing::id).collect();
    assert_eq!(names, ["mock/small"]);
    assert!(test.admit(&request("mock/small", 1)).is_ok());
    assert!(explain(&test, "mock/small").allowed);
}

#[test]
fn the_log_has_what_was_not_refused_and_only_of_what_passed() {
    let line = budget("total", 1);
    let mut copy = trial();
    copy.meters = vec![Arc::new(line.clone())];
    let mut snapshot = world(copy);
    let test = TestGate::new(snapshot.clone());
    let run = |model, settle| {
        let mut admission = test.admit(&request(model, 500_000)).unwrap();
        admission.mark_dispatched();
        if settle {
            admission.settle(reported(1, 1));
        }
    };
    run("mock/small", true);
    run("mock/large", true);
    // Dropped: charged in doubt.
    run("mock/large", false);
    let mut mock = tollgate_testkit::entities::provider("mock", "http://127.0.0.1:1");
    mock.meters = vec![Arc::new(budget("provider", 0))];
    snapshot.set_providers([mock]);
    test.gate.publish(snapshot);
    test.admit(&request("mock/small", 1)).unwrap_err();
    let log = test.log();
    let told: Vec<_> = log
        .iter()
        .map(|entry| (entry.ending.outcome, entry.facts.shadow))
        .collect();
    assert_eq!(
        told,
        [
            (Outcome::Reported, Some(Shadow::of_limit(line.id, false))),
            (Outcome::Reported, Some(DENIED)),
            (Outcome::InDoubt, Some(DENIED)),
            (Outcome::Refused, None),
        ]
    );
}
