//! Holds that outlive their requests.

use std::time::Duration;

use tollgate_domain::ErrorKind;
use tollgate_domain::accounting::Outcome;

use super::kit::*;
use crate::Admission;

/// What a request may take after its provider has begun to answer.
const REST: Duration = Duration::from_hours(1);
/// More than that and the provider's own time.
const LONG: Duration = Duration::from_hours(2);

fn admitted(test: &TestGate) -> Admission {
    test.admit(&request("mock/small", 1_000_000)).unwrap()
}

#[test]
fn leaked_hold_is_charged_in_doubt_once() {
    let line = budget("total", 10);
    let test = TestGate::new(world(limited("starter", [line.clone()])));
    let mut admission = admitted(&test);
    admission.mark_dispatched();
    let held = admission.candidate().estimate.cost;
    std::mem::forget(admission);
    test.clock.advance(Duration::from_secs(90));
    assert_eq!(test.metric("tollgate_ledger_oldest_hold_age_seconds"), 90);
    assert_eq!(test.gate.sweep(REST), 0, "it may still be running");
    assert_eq!(test.count(&line), (0, held.nanos()));

    test.clock.advance(LONG);
    assert_eq!(test.gate.sweep(REST), 1);
    assert_eq!(test.gate.sweep(REST), 0);
    assert_eq!(test.count(&line), (held.nanos(), 0));
    assert_eq!(test.metric("tollgate_swept_holds_total"), 1);
    assert_eq!(test.metric("tollgate_ledger_holds_open"), 0);
    assert_eq!(test.metric("tollgate_ledger_holds_in_doubt_total"), 1);
    assert_eq!(test.metric("tollgate_ledger_oldest_hold_age_seconds"), 0);
    let [entry] = &test.log()[..] else {
        panic!("one row: {:?}", test.log())
    };
    assert_eq!(
        (entry.ending.outcome, entry.ending.error_code.as_deref()),
        (Outcome::InDoubt, Some("expired"))
    );
    assert_eq!(entry.ending.cost, held);
}

/// The provider's own time and the rest together, to the microsecond, whichever provider has it now.
#[test]
fn hold_is_swept_when_its_last_provider_has_had_its_time() {
    let test = TestGate::new(two_providers());
    let patience = |name| {
        let snapshot = test.gate.snapshot();
        let network = snapshot.provider(name).unwrap().network.clone();
        network.unwrap().request_timeout + REST
    };
    let mut moved = test.admit(&request("mock/small", 1)).unwrap();
    let asked = request("slow/small", 1);
    moved.exchange(&asked, |_| true).unwrap();
    let stayed = test.admit(&request("mock/small", 1)).unwrap();
    test.clock.advance(patience("mock"));
    assert_eq!(test.gate.sweep(REST), 0, "it has its time to the end");
    test.clock.advance(Duration::from_micros(1));
    assert_eq!(test.gate.sweep(REST), 1, "the slow one may take longer");
    test.clock
        .advance(patience("slow").saturating_sub(patience("mock")));
    assert_eq!(test.gate.sweep(REST), 1);
    drop((moved, stayed));
}

#[test]
fn request_that_ends_after_its_hold_was_swept_is_not_charged_again() {
    let line = budget("total", 10);
    let test = TestGate::new(world(limited("starter", [line.clone()])));
    let (mut settled, dropped) = (admitted(&test), admitted(&test));
    settled.mark_dispatched();
    let held = settled.candidate().estimate.cost;
    test.clock.advance(LONG);
    assert_eq!(test.gate.sweep(REST), 2);

    let asked = request("mock/small", 1_000_000);
    let refused = settled.exchange(&asked, |_| true).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InternalError);
    assert_eq!(settled.settle(reported(5, 5)).cost, held);
    drop(dropped);
    assert_eq!(test.count(&line), (2 * held.nanos(), 0));
    assert_eq!(test.log().len(), 2);
    assert_eq!(test.gate.ledger().stats().in_doubt, 2);
}

#[test]
fn one_round_ends_only_so_many() {
    let test = TestGate::new(world(limited("starter", [])));
    for _ in 0..300 {
        std::mem::forget(admitted(&test));
    }
    test.clock.advance(LONG);
    assert_eq!(test.gate.sweep(REST), 256);
    assert_eq!(test.gate.sweep(REST), 44);
    assert_eq!(test.gate.ledger().stats().open, 0);
}
