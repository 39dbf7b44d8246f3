//! The fold: pieces, repetition, rotation, conservation.

use std::sync::Arc;

use tollgate_domain::Usd;
use tollgate_domain::accounting::{JournalPosition, LedgerState, LogEntry, Outcome};
use tollgate_domain::limits::{Meter, MeterKind};
use tollgate_domain::live::LiveCounters as _;

use super::kit::*;
use crate::fs::memory::MemoryFileSystem;
use crate::{Ledger, LedgerConfig, ReadError};

fn budget() -> Arc<Meter> {
    Arc::new(meter(1, MeterKind::Money, 1_000_000))
}

fn spend(ledger: &Ledger, budget: &Arc<Meter>, number: u128, cost: i64) {
    let needs = [need(budget, 10)];
    let hold = ledger.reserve(facts(number, 10), &needs, noon()).unwrap();
    ledger.settle(hold, answered(cost, noon()));
}

#[test]
fn the_same_piece_can_be_asked_for_again_and_no_other() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    for number in 0..10 {
        spend(&ledger, &budget, number, 1);
    }
    let start = JournalPosition::default();
    let first = ledger.read_batch(start, 4).unwrap().unwrap();
    // Also when there is more by now: the database may have taken it, and only the answer was lost.
    spend(&ledger, &budget, 10, 1);
    assert_eq!(ledger.read_batch(start, 400).unwrap().unwrap(), first);
    assert_eq!(ledger.read_batch(start, 4).unwrap().unwrap(), first);
    let second = ledger.read_batch(first.to, 4).unwrap().unwrap();
    assert_eq!(second.from, first.to);
    assert!(matches!(
        ledger.read_batch(start, 4),
        Err(ReadError::OutOfOrder { .. })
    ));
}

#[test]
fn a_hold_that_spans_pieces_is_a_row_in_between() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let needs = [need(&budget, 10)];
    let hold = ledger.reserve(facts(1, 10), &needs, noon()).unwrap();
    let mut database = Database::default();
    database.fold(&ledger, 100);
    assert_eq!(database.open_requests(), [request(1)]);
    assert_eq!(database.log, []);
    ledger.settle(hold, answered(4, noon()));
    database.fold(&ledger, 100);
    assert_eq!(database.open_requests(), []);
    assert_eq!(database.log.len(), 1);
    assert_eq!(database.log[0].facts, facts(1, 10));
    assert_eq!(database.log[0].ending, answered(4, noon()));
    // At most the last watermark, which says nothing to a database.
    assert!(ledger.stats().unfolded_bytes < 64);
}

#[test]
fn folded_segments_are_deleted_and_open_holds_live_on() {
    let disk = MemoryFileSystem::default();
    let small = LedgerConfig {
        segment_bytes: 2_000,
        ..config()
    };
    let ledger = open_with(&disk, &small, LedgerState::default()).unwrap();
    let budget = budget();
    let needs = [need(&budget, 10)];
    let _open = ledger.reserve(facts(1_000, 10), &needs, noon()).unwrap();
    let mut database = Database::default();
    for number in 0..50 {
        spend(&ledger, &budget, number, 2);
    }
    database.fold(&ledger, 7);
    assert!(!disk.paths().contains(&segment(1)));
    assert!(database.state.position.segment > 5);
    let disk = kill(ledger, &disk);
    let ledger = open_with(&disk, &small, database.state()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, 110);
    database.fold(&ledger, 7);
    assert_eq!(
        (database.sum(MeterKind::Money), database.logged_cost()),
        (110, 110)
    );
}

#[test]
fn refusals_and_corrections_reach_the_database() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let refused = LogEntry {
        facts: facts(1, 0),
        ending: ended(Outcome::Refused, noon()),
    };
    ledger.refuse(refused.clone()).unwrap();
    ledger.adjust(&budget, 40, note(1), noon()).unwrap();
    let needs = [need(&budget, 10)];
    let hold = ledger.reserve(facts(2, 10), &needs, noon()).unwrap();
    ledger.settle(hold, ended(Outcome::InDoubt, noon()));
    let mut database = Database::default();
    database.fold(&ledger, 100);
    assert_eq!(database.log[0], refused);
    assert_eq!(database.state().in_doubt.len(), 1);
    assert_eq!(database.state().in_doubt[0].holds[0].amount, 10);
    ledger
        .resolve_in_doubt(request(2), Usd::from_nanos(4), note(2), noon())
        .unwrap();
    database.fold(&ledger, 100);
    assert_eq!(database.state().in_doubt, []);
    assert_eq!(database.sum(MeterKind::Money), 44);
    assert_eq!(database.logged_cost(), 4);
}

#[test]
fn nothing_new_is_nothing() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let start = JournalPosition::default();
    assert_eq!(ledger.read_batch(start, 10).unwrap(), None);
    ledger.sync().unwrap();
    assert_eq!(ledger.read_batch(start, 10).unwrap(), None);
}

#[test]
fn a_small_limit_reads_a_record_larger_than_one_read() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let meters: Vec<_> = (0..1_500)
        .map(|line| need(&Arc::new(meter(line, MeterKind::Money, 100)), 1))
        .collect();
    let hold = ledger.reserve(facts(1, 1), &meters, noon()).unwrap();
    ledger.settle(hold, answered(1, noon()));
    let mut database = Database::default();
    database.fold(&ledger, 1);
    assert_eq!(database.counters.len(), 1_500);
}

/// 500 clients at once, one budget, exact bounds: never over, and not refused too early.
#[test]
fn five_hundred_at_once_never_pass_the_limit() {
    let disk = MemoryFileSystem::default();
    let small = LedgerConfig {
        segment_bytes: 100_000,
        ..config()
    };
    let ledger = open_with(&disk, &small, LedgerState::default()).unwrap();
    let limit = 1_000_000;
    let budget = Arc::new(meter(1, MeterKind::Money, limit));
    let bound = 5_000;
    std::thread::scope(|scope| {
        for client in 0..500_u64 {
            let (ledger, budget) = (&ledger, &budget);
            scope.spawn(move || {
                // Costs differ and are all within the bound.
                let mut seed = client.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for round in 0..40 {
                    seed = seed.rotate_left(7).wrapping_mul(0x2545_f491_4f6c_dd1d);
                    let cost = i64::try_from(seed % 5_001).unwrap();
                    let number = u128::from(client * 1_000 + round);
                    let needs = [need(budget, bound)];
                    let Ok(hold) = ledger.reserve(facts(number, bound), &needs, noon()) else {
                        continue;
                    };
                    if seed % 11 == 0 {
                        ledger.release(hold, noon());
                    } else {
                        ledger.settle(hold, answered(cost, noon()));
                    }
                }
            });
        }
    });
    let count = ledger.count(&budget, noon());
    assert_eq!(count.reserved, 0);
    assert!(count.used <= limit, "{}", count.used);
    // Alone, a client spends to within one bound of the limit.
    let mut number = 1_000_000;
    while let Ok(hold) = ledger.reserve(facts(number, bound), &[need(&budget, bound)], noon()) {
        ledger.settle(hold, answered(bound, noon()));
        number += 1;
    }
    let used = ledger.count(&budget, noon()).used;
    assert!(used <= limit && used > limit - bound, "{used}");
    let mut database = Database::default();
    database.fold(&ledger, 300);
    assert_eq!(
        (database.sum(MeterKind::Money), database.logged_cost()),
        (used, used)
    );
}
