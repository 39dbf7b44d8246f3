//! Usage is set back to zero once, however often and by how many processes it is asked for.

use std::sync::Arc;

use tollgate_domain::accounting::LedgerState;
use tollgate_domain::limits::{Meter, MeterKind};
use tollgate_domain::live::{AdjustError, LiveCounters as _};

use super::kit::*;
use crate::Ledger;
use crate::fs::memory::{Faults, MemoryFileSystem};

fn budget() -> Arc<Meter> {
    Arc::new(meter(1, MeterKind::Money, 1_000))
}

fn charge(ledger: &Ledger, budget: &Arc<Meter>, number: u128, amount: i64) {
    let needs = [need(budget, amount)];
    let hold = ledger.reserve(facts(number, amount), &needs, noon());
    ledger.settle(hold.unwrap(), answered(amount, noon()));
}

fn used(ledger: &Ledger, budget: &Meter) -> i64 {
    ledger.count(budget, noon()).used
}

#[test]
fn what_was_reset_is_not_reset_again_by_this_process_or_the_next() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    charge(&ledger, &budget, 1, 30);
    let pending = [reset(1, &[budget.id])];
    ledger.reset(&pending, noon()).unwrap();
    assert_eq!(used(&ledger, &budget), 0);
    charge(&ledger, &budget, 2, 5);
    ledger.reset(&pending, noon()).unwrap();
    assert_eq!(used(&ledger, &budget), 5);
    // The process dies before the database has heard.
    let disk = kill(ledger, &disk);
    let ledger = open(&disk, LedgerState::default()).unwrap();
    ledger.reset(&pending, noon()).unwrap();
    assert_eq!(used(&ledger, &budget), 5);
    let mut database = Database::default();
    database.fold(&ledger, 2);
    assert_eq!(database.resets, [pending[0].id]);
    assert_eq!(database.sum(MeterKind::Money), 5);
}

#[test]
fn what_the_process_died_before_is_reset_by_the_next() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    charge(&ledger, &budget, 1, 30);
    let disk = kill(ledger, &disk);
    let ledger = open(&disk, LedgerState::default()).unwrap();
    assert_eq!(used(&ledger, &budget), 30);
    ledger.reset(&[reset(1, &[budget.id])], noon()).unwrap();
    assert_eq!(used(&ledger, &budget), 0);
}

#[test]
fn the_database_hears_also_of_a_reset_of_nothing() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    let pending = [reset(1, &[budget().id]), reset(2, &[])];
    ledger.reset(&pending, noon()).unwrap();
    let mut database = Database::default();
    database.fold(&ledger, 2);
    assert_eq!(database.resets, [pending[0].id, pending[1].id]);
}

#[test]
fn a_full_disk_leaves_the_rest_for_later() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    charge(&ledger, &budget, 1, 30);
    let fail = |fails_writes| {
        disk.set_faults(Faults {
            fails_writes,
            ..Faults::default()
        });
    };
    let pending = [reset(1, &[budget.id])];
    fail(true);
    let refused = ledger.reset(&pending, noon());
    assert_eq!(refused, Err(AdjustError::Unavailable));
    assert_eq!(used(&ledger, &budget), 30);
    fail(false);
    ledger.reset(&pending, noon()).unwrap();
    assert_eq!(used(&ledger, &budget), 0);
}
