//! The three steps of a reservation, exchanges, and ends.

use std::sync::Arc;

use tollgate_domain::Usd;
use tollgate_domain::access::Need;
use tollgate_domain::accounting::{Ending, Outcome, Shadow};
use tollgate_domain::error::LimitRefusal;
use tollgate_domain::limits::{Boost, Meter, MeterKind};
use tollgate_domain::live::{Count, LiveCounters as _};

use super::kit::*;
use crate::fs::memory::MemoryFileSystem;
use crate::{Hold, Ledger, ReserveError};
use tollgate_domain::accounting::LedgerState;

fn ledger() -> Ledger {
    open(&MemoryFileSystem::default(), LedgerState::default()).unwrap()
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ReserveError>) -> LimitRefusal {
    match result.unwrap_err() {
        ReserveError::Full(refusal) => *refusal,
        ReserveError::Unavailable(error) => panic!("{error}"),
    }
}

fn count(ledger: &Ledger, meter: &Meter) -> (i64, i64) {
    let Count { used, reserved } = ledger.count(meter, noon());
    (used, reserved)
}

#[test]
fn a_spent_budget_refuses_for_good_also_what_costs_nothing() {
    let ledger = ledger();
    let budget = Arc::new(meter(1, MeterKind::Money, 10));
    let hold = ledger
        .reserve(facts(1, 10), &[need(&budget, 10)], noon())
        .unwrap();
    ledger.settle(hold, answered(10, noon()));
    let refused = refusal(ledger.reserve(facts(2, 0), &[need(&budget, 0)], noon()));
    assert!(!refused.is_transient);
    assert_eq!((refused.reading.used, refused.reading.remaining), (10, 0));
}

#[test]
fn what_does_not_fit_beside_settled_spend_is_refused_for_good() {
    let ledger = ledger();
    let budget = Arc::new(meter(1, MeterKind::Money, 10));
    let hold = ledger
        .reserve(facts(1, 6), &[need(&budget, 6)], noon())
        .unwrap();
    ledger.settle(hold, answered(6, noon()));
    let refused = refusal(ledger.reserve(facts(2, 5), &[need(&budget, 5)], noon()));
    assert!(!refused.is_transient);
    assert_eq!(refused.needed, 5);
    let _ = ledger
        .reserve(facts(3, 4), &[need(&budget, 4)], noon())
        .unwrap();
}

#[test]
fn a_budget_full_of_running_requests_refuses_for_a_moment() {
    let ledger = ledger();
    let budget = Arc::new(meter(1, MeterKind::Money, 10));
    let hold = ledger
        .reserve(facts(1, 6), &[need(&budget, 6)], noon())
        .unwrap();
    let refused = refusal(ledger.reserve(facts(2, 5), &[need(&budget, 5)], noon()));
    assert!(refused.is_transient);
    ledger.settle(hold, answered(1, noon()));
    let _ = ledger
        .reserve(facts(2, 5), &[need(&budget, 5)], noon())
        .unwrap();
}

#[test]
fn all_meters_are_held_or_none() {
    let ledger = ledger();
    let (wide, tight) = (
        Arc::new(meter(1, MeterKind::Tokens, 1_000)),
        Arc::new(meter(2, MeterKind::Money, 5)),
    );
    let refused =
        refusal(ledger.reserve(facts(1, 6), &[need(&wide, 100), need(&tight, 6)], noon()));
    assert_eq!(refused.reading.id, "bud_2");
    assert_eq!(count(&ledger, &wide), (0, 0));
    assert_eq!(ledger.stats().opened, 0);
}

#[test]
fn a_limit_of_zero_refuses_everything() {
    let ledger = ledger();
    for kind in MeterKind::ALL {
        let closed = Arc::new(meter(1, kind, 0));
        assert!(!refusal(ledger.reserve(facts(1, 0), &[need(&closed, 0)], noon())).is_transient);
    }
}

#[test]
fn parallel_slots_come_back_and_leave_no_trace() {
    let ledger = ledger();
    let slots = Arc::new(meter(1, MeterKind::Parallel, 2));
    let take = |number| ledger.reserve(facts(number, 0), &[need(&slots, 1)], noon());
    let (first, second) = (take(1).unwrap(), take(2).unwrap());
    assert!(refusal(take(3)).is_transient);
    ledger.settle(first, answered(0, noon()));
    ledger.release(second, noon());
    assert_eq!(count(&ledger, &slots), (0, 0));
    let _ = take(4).unwrap();
}

#[test]
fn a_failed_request_costs_nothing_and_counts_as_one() {
    let ledger = ledger();
    let meters = [
        need(&Arc::new(meter(1, MeterKind::Requests, 5)), 1),
        need(&Arc::new(meter(2, MeterKind::Tokens, 1_000)), 100),
        need(&Arc::new(meter(3, MeterKind::Money, 50)), 20),
    ];
    let mut hold = ledger.reserve(facts(1, 20), &meters, noon()).unwrap();
    hold.mark_dispatched();
    // Whatever the caller thinks that it cost.
    let failed = Ending {
        cost: Usd::from_nanos(9),
        ..ended(Outcome::Failed, noon())
    };
    assert_eq!(ledger.settle(hold, failed).cost, Usd::ZERO);
    let mut database = Database::default();
    database.fold(&ledger, 10);
    assert_eq!(database.logged_cost(), 0);
    let counts: Vec<_> = meters
        .iter()
        .map(|need| count(&ledger, &need.meter))
        .collect();
    assert_eq!(counts, [(1, 0), (0, 0), (0, 0)]);
}

#[test]
fn doubt_charges_what_was_held_and_can_be_resolved_once() {
    let ledger = ledger();
    let budget = Arc::new(meter(3, MeterKind::Money, 50));
    let hold = ledger
        .reserve(facts(1, 20), &[need(&budget, 20)], noon())
        .unwrap();
    let settled = ledger.settle(hold, ended(Outcome::InDoubt, noon()));
    assert_eq!(settled.cost.nanos(), 20);
    assert_eq!(count(&ledger, &budget), (20, 0));
    let resolve = || {
        ledger.resolve_in_doubt(
            request(1),
            tollgate_domain::Usd::from_nanos(7),
            note(2),
            noon(),
        )
    };
    resolve().unwrap();
    assert_eq!(count(&ledger, &budget), (7, 0));
    assert!(resolve().is_err());
}

#[test]
fn a_release_leaves_nothing() {
    let ledger = ledger();
    let requests = Arc::new(meter(1, MeterKind::Requests, 5));
    let hold = ledger
        .reserve(facts(1, 0), &[need(&requests, 1)], noon())
        .unwrap();
    ledger.release(hold, noon());
    assert_eq!(count(&ledger, &requests), (0, 0));
}

#[test]
fn an_exchange_carries_the_request_and_its_slot_and_leaves_the_rest() {
    let ledger = ledger();
    let key_requests = Arc::new(meter(1, MeterKind::Requests, 1));
    let slots = Arc::new(meter(2, MeterKind::Parallel, 1));
    let first_provider = Arc::new(meter(3, MeterKind::Requests, 9));
    let budget = Arc::new(meter(4, MeterKind::Money, 10));
    let needs = |provider: &Arc<Meter>, cost| {
        [
            need(&key_requests, 1),
            need(&slots, 1),
            need(provider, 1),
            need(&budget, cost),
        ]
    };
    let mut hold = ledger
        .reserve(facts(1, 8), &needs(&first_provider, 8), noon())
        .unwrap();
    hold.mark_dispatched();
    let second_provider = Arc::new(meter(5, MeterKind::Requests, 9));
    // 8 + 9 would not fit; in the place of 8, 9 does.
    ledger
        .exchange(&mut hold, facts(1, 9), &needs(&second_provider, 9), noon())
        .unwrap();
    assert_eq!(count(&ledger, &key_requests), (0, 1));
    assert_eq!(count(&ledger, &slots), (0, 1));
    assert_eq!(count(&ledger, &first_provider), (1, 0));
    assert_eq!(count(&ledger, &budget), (0, 9));
    ledger.settle(hold, answered(3, noon()));
    assert_eq!(count(&ledger, &key_requests), (1, 0));
    assert_eq!(count(&ledger, &second_provider), (1, 0));
    assert_eq!(count(&ledger, &budget), (3, 0));
}

/// A limit that was lowered meanwhile refuses new requests; one that runs keeps its place through a retry.
#[test]
fn a_lowered_limit_takes_no_slot_and_no_request_from_a_retry() {
    let ledger = ledger();
    let limits = |limit| {
        [MeterKind::Requests, MeterKind::Parallel]
            .map(|kind| need(&Arc::new(meter(kind.code().into(), kind, limit)), 1))
    };
    let mut first = ledger.reserve(facts(1, 0), &limits(2), noon()).unwrap();
    let second = ledger.reserve(facts(2, 0), &limits(2), noon()).unwrap();
    first.mark_dispatched();
    ledger
        .exchange(&mut first, facts(1, 0), &limits(1), noon())
        .unwrap();
    assert!(ledger.reserve(facts(3, 0), &limits(1), noon()).is_err());
    for (hold, left) in [(first, 1), (second, 0)] {
        ledger.settle(hold, answered(0, noon()));
        assert_eq!(count(&ledger, &limits(1)[1].meter), (0, left));
    }
    assert_eq!(count(&ledger, &limits(1)[0].meter), (2, 0));
}

#[test]
fn a_refused_exchange_changes_nothing() {
    let ledger = ledger();
    let (budget, other) = (
        Arc::new(meter(1, MeterKind::Money, 10)),
        Arc::new(meter(2, MeterKind::Money, 1)),
    );
    let mut hold = ledger
        .reserve(facts(1, 8), &[need(&budget, 8)], noon())
        .unwrap();
    let needs = [need(&budget, 2), need(&other, 2)];
    assert!(
        ledger
            .exchange(&mut hold, facts(1, 2), &needs, noon())
            .is_err()
    );
    assert_eq!(count(&ledger, &budget), (0, 8));
    ledger.settle(hold, answered(5, noon()));
    assert_eq!(count(&ledger, &budget), (5, 0));
}

#[test]
fn a_meter_named_twice_counts_once() {
    let ledger = ledger();
    let requests = Arc::new(meter(1, MeterKind::Requests, 1));
    let needs = [need(&requests, 1), need(&requests, 1)];
    let hold = ledger.reserve(facts(1, 0), &needs, noon()).unwrap();
    ledger.settle(hold, answered(0, noon()));
    assert_eq!(count(&ledger, &requests), (1, 0));
}

#[test]
fn shadow_counts_and_tells_and_does_not_refuse() {
    let ledger = ledger();
    let budget = Arc::new(meter(1, MeterKind::Money, 5));
    let mut shadow = need(&budget, 8);
    shadow.is_enforced = false;
    let hold = ledger.reserve(facts(1, 8), &[shadow], noon()).unwrap();
    assert_eq!(hold.shadowed().unwrap().needed, 8);
    let full = Shadow::of_limit(budget.id, false);
    assert_eq!(hold.facts().shadow, Some(full));
    ledger.settle(hold, answered(8, noon()));
    assert_eq!(count(&ledger, &budget), (8, 0));
}

/// A fallback goes on with the request and the slot that were taken at admission, so what was full then stays said.
#[test]
fn what_a_shadow_did_not_refuse_is_still_told_after_an_exchange() {
    let ledger = ledger();
    let limit_of = |kind, limit| {
        let mut shadow = need(&Arc::new(meter(1, kind, limit)), 1);
        shadow.is_enforced = false;
        shadow
    };
    for (number, kind) in [(1, MeterKind::Requests), (2, MeterKind::Parallel)] {
        let full = limit_of(kind, 0);
        let told = Some(Shadow::of_limit(full.meter.id, false));
        let reserve = || {
            let hold = ledger.reserve(facts(number, 0), std::slice::from_ref(&full), noon());
            let hold = hold.unwrap();
            assert_eq!(hold.facts().shadow, told);
            hold
        };
        let mut hold = reserve();
        let budget = need(&Arc::new(meter(2, MeterKind::Money, 10)), 3);
        let needs = [budget.clone(), full.clone()];
        for _ in 0..2 {
            ledger
                .exchange(&mut hold, facts(number, 3), &needs, noon())
                .unwrap();
            assert_eq!(hold.facts().shadow, told, "{kind:?}");
            assert!(hold.shadowed().is_some());
        }
        // Where the limit is not asked any more, it has nothing to say; where it is enforced now, it let this one pass.
        let enforced = Need {
            is_enforced: true,
            ..full.clone()
        };
        for needs in [vec![budget], vec![enforced]] {
            let mut hold = reserve();
            ledger
                .exchange(&mut hold, facts(number, 3), &needs, noon())
                .unwrap();
            assert_eq!(hold.facts().shadow, None, "{kind:?}");
            ledger.release(hold, noon());
        }
        ledger.release(hold, noon());
    }
}

/// Each of several limits that were full at once: the first one that is asked is told.
#[test]
fn every_full_limit_is_remembered_through_exchanges() {
    let ledger = ledger();
    let [first, second, third] = [1, 2, 3].map(|line| {
        let mut shadow = need(&Arc::new(meter(line, MeterKind::Requests, 0)), 1);
        shadow.is_enforced = false;
        shadow
    });
    let told = |hold: &Hold| hold.facts().shadow.and_then(|shadow| shadow.limit);
    let both = [first.clone(), second.clone()];
    let mut hold = ledger.reserve(facts(1, 0), &both, noon()).unwrap();
    assert_eq!(told(&hold), Some(first.meter.id));
    // A refused exchange takes nothing from it.
    let full = need(&Arc::new(meter(9, MeterKind::Money, 0)), 1);
    let refused = [second.clone(), full];
    assert!(
        ledger
            .exchange(&mut hold, facts(1, 0), &refused, noon())
            .is_err()
    );
    // Newly full, and the first in order.
    let other = [third.clone(), second.clone()];
    ledger
        .exchange(&mut hold, facts(1, 0), &other, noon())
        .unwrap();
    assert_eq!(told(&hold), Some(third.meter.id));
    let alone = std::slice::from_ref(&second);
    ledger
        .exchange(&mut hold, facts(1, 0), alone, noon())
        .unwrap();
    assert_eq!(told(&hold), Some(second.meter.id));
    assert_eq!(hold.shadowed().unwrap().reading.id, *second.meter.line_id);
    ledger.release(hold, noon());
}

#[test]
fn a_lowered_limit_refuses_new_holds_and_lets_running_ones_end() {
    let ledger = ledger();
    let raised = Meter {
        boost: Some(Boost {
            amount: 90,
            until: Some(seconds_after(60)),
        }),
        ..meter(1, MeterKind::Money, 10)
    };
    let raised = Arc::new(raised);
    let hold = ledger
        .reserve(facts(1, 50), &[need(&raised, 50)], noon())
        .unwrap();
    let refused = refusal(ledger.reserve(facts(2, 1), &[need(&raised, 1)], seconds_after(60)));
    assert!(refused.is_transient);
    assert_eq!((refused.reading.limit, refused.reading.remaining), (10, 0));
    ledger.settle(hold, answered(40, seconds_after(61)));
    assert_eq!(count(&ledger, &raised), (40, 0));
    assert!(!refusal(ledger.reserve(facts(3, 0), &[need(&raised, 0)], noon())).is_transient);
}

#[test]
fn corrections_count_and_resets_start_again() {
    let ledger = ledger();
    let budget = Arc::new(meter(1, MeterKind::Money, 10));
    assert_eq!(
        ledger.adjust(&budget, 10, note(1), noon()).unwrap().used,
        10
    );
    assert!(
        ledger
            .reserve(facts(1, 1), &[need(&budget, 1)], noon())
            .is_err()
    );
    assert_eq!(ledger.adjust(&budget, -4, note(1), noon()).unwrap().used, 6);
    ledger.reset(&[reset(1, &[budget.id])], noon()).unwrap();
    assert_eq!(count(&ledger, &budget), (0, 0));
}

#[test]
fn every_hold_opened_is_settled_released_in_doubt_or_open() {
    let ledger = ledger();
    let slots = Arc::new(meter(1, MeterKind::Requests, 100));
    let mut holds: Vec<_> = (0..10)
        .map(|number| {
            ledger
                .reserve(facts(number, 0), &[need(&slots, 1)], noon())
                .unwrap()
        })
        .collect();
    ledger.release(holds.pop().unwrap(), noon());
    ledger.settle(holds.pop().unwrap(), ended(Outcome::InDoubt, noon()));
    ledger.settle(holds.pop().unwrap(), ended(Outcome::Failed, noon()));
    ledger.settle(holds.pop().unwrap(), answered(1, noon()));
    let stats = ledger.stats();
    assert_eq!(
        (
            stats.opened,
            stats.settled,
            stats.released,
            stats.in_doubt,
            stats.open
        ),
        (10, 2, 1, 1, 6)
    );
}

/// Also in the middle of what other threads do.
#[test]
fn the_numbers_of_holds_add_up_at_every_moment() {
    let ledger = ledger();
    let budget = Arc::new(meter(1, MeterKind::Money, i64::MAX));
    std::thread::scope(|scope| {
        let worker = |first: u128| {
            let (ledger, budget) = (&ledger, &budget);
            scope.spawn(move || {
                for number in first..first + 300 {
                    let needs = [need(budget, 1)];
                    let hold = ledger.reserve(facts(number, 1), &needs, noon()).unwrap();
                    match number % 3 {
                        0 => ledger.release(hold, noon()),
                        1 => drop(ledger.settle(hold, answered(1, noon()))),
                        _ => drop(ledger.settle(hold, ended(Outcome::InDoubt, noon()))),
                    }
                }
            })
        };
        let workers = [worker(0), worker(1_000)];
        while !workers
            .iter()
            .all(std::thread::ScopedJoinHandle::is_finished)
        {
            let stats = ledger.stats();
            let ended = stats.settled + stats.released + stats.in_doubt;
            assert_eq!(stats.opened, ended + stats.open);
        }
    });
    let stats = ledger.stats();
    assert_eq!((stats.opened, stats.open), (600, 0));
}
