use std::sync::Arc;
use std::time::Duration;

use tollgate_domain::access::Copy;
use tollgate_domain::access::profile::Reservation;
use tollgate_domain::accounting::{JournalPosition, Outcome};
use tollgate_domain::limits::MeterKind;
use tollgate_domain::snapshot::{SnapshotChange, User};
use tollgate_domain::{Clock as _, ErrorKind, TokenUsage, Usd};
use tollgate_testkit::entities::{meter, user};

use super::kit::*;
use crate::Answer;

/// Input for a dollar, and 500,000 tokens of output for another.
const TWO_DOLLARS: u64 = 500_000;

fn with_copies(copies: Vec<Copy>) -> tollgate_domain::snapshot::Snapshot {
    let mut snapshot = world(copies[0].clone());
    snapshot.put_user(User {
        copies: copies.into_iter().map(Arc::new).collect(),
        ..user("ada")
    });
    snapshot
}

#[test]
fn a_request_holds_and_then_costs_what_it_used() {
    let line = budget("total", 10);
    let test = TestGate::new(world(limited("starter", [line.clone()])));
    let mut admission = test.admit(&request("mock/small", 4_096)).unwrap();
    assert_eq!(test.count(&line), (0, 1_008_192_000));
    assert_eq!(
        admission.numbers().budget_remaining,
        Some(Usd::from_nanos(8_991_808_000))
    );
    admission.mark_dispatched();
    test.clock.advance(Duration::from_millis(3));
    let settled = admission.settle(reported(1_000_000, 1_000));
    assert_eq!(settled.cost, Usd::from_nanos(1_002_000_000));
    assert!(settled.written.is_done());
    assert_eq!(
        settled.numbers.budget_remaining,
        Some(Usd::from_nanos(8_998_000_000))
    );
    assert_eq!(test.count(&line), (1_002_000_000, 0));
    let log = test.log();
    assert_eq!(log.len(), 1);
    assert_eq!(log[0].ending.duration_micros, 3_000);
    assert_eq!(
        (log[0].ending.attempts, log[0].ending.cost),
        (1, settled.cost)
    );
    assert_eq!(log[0].facts.profile_version, Some(1));
}

#[test]
fn a_spent_budget_is_402_and_recorded() {
    let test = TestGate::new(world(limited("starter", [budget("total", 1)])));
    let error = test.admit(&request("mock/small", 4_096)).unwrap_err();
    assert_eq!(
        (error.kind, error.kind.status()),
        (ErrorKind::BudgetExceeded, 402)
    );
    // The input alone costs the whole dollar.
    assert_eq!(error.limit.unwrap().largest_output_that_fits, Some(0));
    let log = test.log();
    assert_eq!(log[0].ending.outcome, Outcome::Refused);
    assert_eq!(log[0].ending.error_code.as_deref(), Some("budget_exceeded"));
    assert_eq!(log[0].ending.cost, Usd::ZERO);
}

#[test]
fn the_refusal_names_the_largest_output_that_fits() {
    let test = TestGate::new(world(limited("starter", [budget("total", 2)])));
    let mut large = request("mock/small", 4_096);
    large.choices = 200;
    let error = test.admit(&large).unwrap_err();
    let fits = error.limit.unwrap().largest_output_that_fits.unwrap();
    assert_eq!(fits, TWO_DOLLARS / 200);
    large.max_output_tokens = Some(fits);
    drop(test.admit(&large).unwrap());
}

#[test]
fn the_next_copy_pays_when_the_first_is_full_and_429_wins_over_402() {
    let (first, second) = (budget("first", 1), budget("second", 3));
    let copies = vec![
        limited("first", [first.clone()]),
        Copy {
            priority: 1,
            ..limited("second", [second.clone()])
        },
    ];
    let test = TestGate::new(with_copies(copies));
    let admission = test.admit(&request("mock/small", 4_096)).unwrap();
    assert_eq!(test.count(&first), (0, 0));
    assert!(test.count(&second).1 > 0);
    let another = test.admit(&request("mock/small", 4_096)).unwrap();
    // The first is too small for good, the second only full for now.
    let error = test.admit(&request("mock/small", 4_096)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::BudgetInFlight);
    assert_eq!(error.retry_after_seconds, Some(1));
    drop((admission, another));
    drop(test.admit(&request("mock/small", 4_096)).unwrap());
}

#[test]
fn dropped_before_it_was_sent_it_leaves_nothing() {
    let (line, requests) = (budget("total", 10), meter("rate", MeterKind::Requests, 5));
    let test = TestGate::new(world(limited("starter", [line.clone(), requests.clone()])));
    drop(test.admit(&request("mock/small", 1)).unwrap());
    assert_eq!((test.count(&line), test.count(&requests)), ((0, 0), (0, 0)));
    assert_eq!(test.log(), []);
}

#[test]
fn dropped_after_it_was_sent_it_costs_what_it_held_in_doubt() {
    let (line, requests) = (budget("total", 10), meter("rate", MeterKind::Requests, 5));
    let test = TestGate::new(world(limited("starter", [line.clone(), requests.clone()])));
    let mut admission = test.admit(&request("mock/small", TWO_DOLLARS)).unwrap();
    let held = admission.candidate().estimate.cost;
    admission.mark_dispatched();
    drop(admission);
    assert_eq!(
        (test.count(&line), test.count(&requests)),
        ((held.nanos(), 0), (1, 0))
    );
    assert_eq!(test.log()[0].ending.outcome, Outcome::InDoubt);
    assert_eq!(test.log()[0].ending.cost, held);
}

#[test]
fn a_failed_answer_costs_nothing_and_counts() {
    let (line, requests) = (budget("total", 10), meter("rate", MeterKind::Requests, 5));
    let test = TestGate::new(world(limited("starter", [line.clone(), requests.clone()])));
    let mut admission = test.admit(&request("mock/small", 1)).unwrap();
    admission.mark_dispatched();
    let failed = Answer {
        outcome: Outcome::Failed,
        usage: TokenUsage::default(),
        status: 502,
        error_code: Some("upstream_error".to_owned()),
        first_byte_at: None,
    };
    let settled = admission.settle(failed);
    assert_eq!(settled.cost, Usd::ZERO);
    let cost = "tollgate_cost_nanodollars_total{provider=\"mock\"}";
    assert_eq!(test.metric(cost), 0, "metrics show what was charged");
    assert_eq!(
        settled
            .numbers
            .requests
            .map(|rate| (rate.limit, rate.remaining)),
        Some((5, 4))
    );
    assert_eq!((test.count(&line), test.count(&requests)), ((0, 0), (1, 0)));
}

#[test]
fn a_fallback_moves_the_hold_and_looks_at_the_newest_snapshot() {
    let (first, second) = (budget("first", 10), budget("second", 10));
    let mut other = limited("second", [second.clone()]);
    other.priority = 1;
    let test = TestGate::new(with_copies(vec![limited("first", [first.clone()]), other]));
    let asked = request("mock/small", 1);
    let mut admission = test.admit(&asked).unwrap();
    admission.mark_dispatched();
    let first_payer = test.count(&first).1;
    admission
        .exchange(&asked, |candidate| {
            candidate
                .needs
                .iter()
                .any(|need| need.meter.id == second.id)
        })
        .unwrap();
    assert_eq!(
        (test.count(&first), test.count(&second)),
        ((0, 0), (0, first_payer))
    );
    let mut revoked = (*test.gate.snapshot()).clone();
    revoked.remove_key(test.caller().key);
    test.gate.publish(revoked);
    let error = admission.exchange(&asked, |_| true).unwrap_err();
    assert_eq!(error.kind, ErrorKind::VirtualKeyNotFound);
    let settled = admission.settle(reported(1, 1));
    assert_eq!(test.count(&second), (settled.cost.nanos(), 0));
    assert_eq!(test.log().len(), 1);
}

/// Price, experience and numbers follow the hold to where the request was answered.
#[test]
fn after_a_fallback_the_one_that_answers_is_priced_and_shown() {
    let test = TestGate::new(two_providers());
    let first = request("mock/small", 1);
    let mut admission = test.admit(&first).unwrap();
    admission.mark_dispatched();
    let mut limited = user("ada");
    limited.copies = vec![Arc::new(Copy {
        grants: vec![grant_of("slow")],
        ..limited_to(7)
    })];
    let mut snapshot = (*test.gate.snapshot()).clone();
    snapshot.put_user(limited);
    test.gate.publish(snapshot);
    let second = request("slow/small", 1);
    admission.exchange(&second, |_| true).unwrap();
    assert_eq!(admission.candidate().provider.name.as_str(), "slow");
    let held = admission.candidate().estimate.cost;
    assert_eq!(held, Usd::from_nanos(2_000_004_000));
    assert_eq!(
        admission.numbers().budget_remaining,
        Some(Usd::from_nanos(usd(7)).saturating_sub(held))
    );
    let settled = admission.settle(reported(1_000_000, 1_000_000));
    assert_eq!(settled.cost, Usd::from_nanos(usd(6)));
    assert_eq!(
        settled.numbers.budget_remaining,
        Some(Usd::from_nanos(usd(1)))
    );
    assert_eq!(test.log()[0].facts.provider.as_str(), "slow");
}

fn limited_to(dollars: i64) -> Copy {
    limited("starter", [budget("total", dollars)])
}

#[test]
fn the_tightest_budget_is_shown_wherever_it_stands() {
    for lines in [[3, 9], [9, 3]] {
        let [first, second] = lines.map(|dollars| budget(&dollars.to_string(), dollars));
        let test = TestGate::new(world(limited("starter", [first, second])));
        let mut admission = test.admit(&request("mock/small", 1)).unwrap();
        let left = |dollars| Some(Usd::from_nanos(usd(dollars)));
        let held = admission.candidate().estimate.cost;
        let before = admission.numbers().budget_remaining;
        assert_eq!(before, left(3).map(|usd| usd.saturating_sub(held)));
        admission.mark_dispatched();
        let settled = admission.settle(reported(1_000_000, 0));
        assert_eq!(settled.numbers.budget_remaining, left(2));
    }
}

#[test]
fn what_costs_exactly_what_was_held_is_no_breach() {
    let mut copy = limited_to(10);
    copy.settings.reservation = Reservation::Bound;
    let test = TestGate::new(world(copy));
    let mut admission = test.admit(&request("mock/small", 10)).unwrap();
    admission.mark_dispatched();
    let estimate = admission.candidate().estimate;
    let settled = admission.settle(reported(estimate.input_tokens, 10));
    assert_eq!(settled.cost, estimate.cost);
    assert_eq!(test.metric("tollgate_bound_breaches_total"), 0);
    let over = "tollgate_over_reserved_requests_total{reservation=\"bound\"}";
    assert_eq!(test.metric(over), 0);
}

/// More time does not bring back what a single request is too large for; a number to shrink it to would be wrong for one
/// that only has to wait.
#[test]
fn only_a_final_refusal_names_the_largest_output() {
    let test = TestGate::new(world(limited_to(2)));
    let running = test.admit(&request("mock/small", 4_096)).unwrap();
    let error = test.admit(&request("mock/small", 4_096)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::BudgetInFlight);
    assert_eq!(error.limit.unwrap().largest_output_that_fits, None);
    drop(running);
}

#[test]
fn a_provider_that_passes_its_bound_is_charged_and_counted() {
    let line = budget("total", 10);
    let mut copy = limited("starter", [line.clone()]);
    copy.settings.reservation = Reservation::Bound;
    let test = TestGate::new(world(copy));
    let mut admission = test.admit(&request("mock/small", 10)).unwrap();
    assert!(admission.candidate().estimate.is_bound);
    admission.mark_dispatched();
    let settled = admission.settle(reported(2_000_000, 10));
    assert_eq!(test.count(&line), (settled.cost.nanos(), 0));
    assert_eq!(test.metric("tollgate_bound_breaches_total"), 1);
    let over = test.metric("tollgate_over_reserved_nanodollars_total{reservation=\"bound\"}");
    assert!(over > 0);
}

#[test]
fn the_ledgers_numbers_are_metrics() {
    let test = TestGate::new(world(limited("starter", [budget("total", 10)])));
    let running = test.admit(&request("mock/small", 1)).unwrap();
    assert_eq!(test.metric("tollgate_ledger_holds_open"), 1);
    assert_eq!(test.metric("tollgate_ledger_available"), 1);
    drop(running);
    assert_eq!(test.metric("tollgate_ledger_holds_open"), 0);
    assert_eq!(test.metric("tollgate_ledger_holds_released_total"), 1);
}

#[test]
fn usage_follows_an_edit_of_the_calendar_at_once() {
    let line = budget("total", 10);
    let test = TestGate::new(world(limited("starter", [line.clone()])));
    let mut admission = test.admit(&request("mock/small", 1)).unwrap();
    admission.mark_dispatched();
    let cost = admission.settle(reported(1_000_000, 1)).cost;
    let mut aligned = line;
    if let Some(window) = &mut aligned.window {
        window.zone = Some("Asia/Kathmandu".parse().unwrap());
    }
    let mut edited = user("ada");
    edited.copies = vec![Arc::new(limited("starter", [aligned.clone()]))];
    let mut snapshot = (*test.gate.snapshot()).clone();
    snapshot.put_user(edited);
    let changes = [SnapshotChange::User(user("ada").id)];
    test.gate.publish_changes(snapshot, &changes);
    assert_eq!(test.count(&aligned), (cost.nanos(), 0));
    let key = aligned.window.unwrap().window(test.clock.now()).key;
    let ledger = test.gate.ledger();
    let batch = ledger
        .read_batch(JournalPosition::default(), 100)
        .unwrap()
        .unwrap();
    let moved = batch
        .counters
        .iter()
        .find(|counter| counter.key.window == key);
    assert_eq!(moved.unwrap().amount, cost.nanos());
}
