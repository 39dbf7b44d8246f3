//! Windows, lattices that move, and what is forgotten.

use std::sync::Arc;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{CounterAmount, LedgerState};
use tollgate_domain::limits::{Meter, MeterKind, ResetDuration, Window, WindowKey, WindowSpec};
use tollgate_domain::live::LiveCounters as _;

use super::kit::*;
use crate::Ledger;
use crate::fs::memory::MemoryFileSystem;

fn aligned(zone: &str) -> Meter {
    let mut edited = meter(1, MeterKind::Money, 100);
    edited.window = Some(WindowSpec {
        duration: ResetDuration::Day,
        anchor: noon(),
        zone: Some(zone.parse().unwrap()),
        quarter_start_month: 1,
    });
    edited
}

fn tomorrow() -> Timestamp {
    seconds_after(86_400)
}

#[test]
fn a_new_window_starts_at_zero_and_late_ends_count_in_the_old_one() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = Arc::new(meter(1, MeterKind::Money, 10));
    let late = ledger
        .reserve(facts(1, 10), &[need(&budget, 10)], noon())
        .unwrap();
    let early = ledger
        .reserve(facts(2, 10), &[need(&budget, 10)], tomorrow())
        .unwrap();
    ledger.settle(late, answered(9, tomorrow()));
    let count = ledger.count(&budget, tomorrow());
    assert_eq!((count.used, count.reserved), (0, 10));
    ledger.settle(early, answered(2, tomorrow()));
    let mut database = Database::default();
    database.fold(&ledger, 100);
    let by_window: Vec<i64> = database
        .counters
        .values()
        .map(|counter| counter.amount)
        .collect();
    assert_eq!(by_window, [9, 2]);
}

#[test]
fn a_clock_that_steps_back_does_not_reopen_a_window() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    let budget = Arc::new(meter(1, MeterKind::Money, 10));
    let hold = ledger
        .reserve(facts(1, 10), &[need(&budget, 10)], tomorrow())
        .unwrap();
    assert!(
        ledger
            .reserve(facts(2, 1), &[need(&budget, 1)], noon())
            .is_err()
    );
    ledger.settle(hold, answered(10, noon()));
    assert!(
        ledger
            .reserve(facts(3, 1), &[need(&budget, 1)], noon())
            .is_err()
    );
}

#[test]
fn usage_follows_a_line_whose_lattice_moved() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let before = Arc::new(meter(1, MeterKind::Money, 100));
    let running = ledger
        .reserve(facts(1, 30), &[need(&before, 30)], noon())
        .unwrap();
    let spent = ledger
        .reserve(facts(2, 20), &[need(&before, 20)], noon())
        .unwrap();
    ledger.settle(spent, answered(20, noon()));

    let after = Arc::new(aligned("Asia/Kathmandu"));
    // Seen before anything moved, and counted the same afterwards.
    for _ in 0..2 {
        let count = ledger.count(&after, noon());
        assert_eq!((count.used, count.reserved), (20, 30));
        ledger.carry_over(std::slice::from_ref(&after), noon());
    }
    ledger.settle(running, answered(25, noon()));
    assert_eq!(ledger.count(&after, noon()).used, 45);
    // And back again.
    ledger.carry_over(std::slice::from_ref(&before), noon());
    assert_eq!(ledger.count(&before, noon()).used, 45);

    let mut database = Database::default();
    database.fold(&ledger, 1);
    let counted: Vec<i64> = database
        .counters
        .values()
        .map(|counter| counter.amount)
        .collect();
    assert_eq!(counted.iter().sum::<i64>(), 45);
    let running = before.window.as_ref().unwrap().window(noon()).key;
    let here = database
        .counters
        .values()
        .find(|counter| counter.key.window == running);
    assert_eq!(here.unwrap().amount, 45);
}

#[test]
fn a_hold_that_a_move_met_is_charged_where_it_went_also_after_a_crash() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let before = Arc::new(meter(1, MeterKind::Money, 100));
    let _running = ledger
        .reserve(facts(1, 30), &[need(&before, 30)], noon())
        .unwrap();
    let after = Arc::new(aligned("Asia/Kathmandu"));
    ledger.carry_over(std::slice::from_ref(&after), noon());
    let ledger = open(&kill(ledger, &disk), LedgerState::default()).unwrap();
    assert_eq!(ledger.count(&after, noon()).used, 30);
    let window = after.window.as_ref().unwrap().window(noon());
    let mut database = Database::default();
    database.fold(&ledger, 100);
    let charged: Vec<_> = database
        .counters
        .values()
        .filter(|counter| counter.amount != 0)
        .collect();
    assert_eq!(charged.len(), 1);
    assert_eq!(charged[0].key.window, window.key);
}

/// What is held after an edit was taken back does not go where the edit sent what was there before.
#[test]
fn an_edit_that_is_taken_back_while_nothing_is_used_sends_nothing_away() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let (before, edited) = (
        Arc::new(meter(1, MeterKind::Money, 100)),
        Arc::new(aligned("Asia/Kathmandu")),
    );
    let spent = ledger
        .reserve(facts(1, 20), &[need(&before, 20)], noon())
        .unwrap();
    ledger.settle(spent, answered(20, noon()));
    ledger.carry_over(std::slice::from_ref(&edited), noon());
    ledger.adjust(&edited, -20, note(1), noon()).unwrap();
    ledger.carry_over(std::slice::from_ref(&before), noon());
    let _running = ledger
        .reserve(facts(2, 30), &[need(&before, 30)], noon())
        .unwrap();
    let ledger = open(&kill(ledger, &disk), LedgerState::default()).unwrap();
    assert_eq!(ledger.count(&before, noon()).used, 30);
    let mut database = Database::default();
    database.fold(&ledger, 100);
    let window = before.window.as_ref().unwrap().window(noon()).key;
    for counter in database.counters.values() {
        let is_here = counter.key.window == window;
        assert_eq!(counter.amount, if is_here { 30 } else { 0 });
    }
}

/// Two zones can begin a window together and end it apart: New York puts its clock back in November, Puerto Rico does not.
#[test]
fn an_edit_that_moves_only_the_end_of_a_window_outlives_the_process() {
    let monthly = |zone: &str| {
        let mut meter = aligned(zone);
        if let Some(window) = &mut meter.window {
            window.duration = ResetDuration::Month;
        }
        Arc::new(meter)
    };
    let (shorter, longer) = (monthly("America/Puerto_Rico"), monthly("America/New_York"));
    let between: Timestamp = "2026-12-01T04:30:00Z".parse().unwrap();
    for (before, after, used) in [(&shorter, &longer, 60), (&longer, &shorter, 0)] {
        let disk = MemoryFileSystem::default();
        let ledger = open(&disk, LedgerState::default()).unwrap();
        let hold = ledger
            .reserve(facts(1, 60), &[need(before, 60)], noon())
            .unwrap();
        ledger.settle(hold, answered(60, noon()));
        ledger.carry_over(std::slice::from_ref(after), noon());
        assert_eq!(ledger.count(after, noon()).used, 60);
        let mut database = Database::default();
        database.fold(&ledger, 100);
        let disk = kill(ledger, &disk);
        let ledger = Ledger::open_on(Arc::new(disk), &config(), database.state(), between).unwrap();
        assert_eq!(ledger.count(after, between).used, used);
    }
}

/// Counters of earlier versions are named by civil dates, and count all the same.
#[test]
fn usage_under_an_older_name_of_its_window_counts() {
    let line = Arc::new(aligned("Asia/Kathmandu"));
    let window = line.window.as_ref().unwrap().window(noon());
    let named_by_date = Window {
        key: WindowKey(20_261_111),
        ..window
    };
    let older = CounterAmount::new(
        line.id.line,
        line.id.kind,
        ResetDuration::Day,
        named_by_date,
        60,
    );
    let state = LedgerState {
        counters: vec![older],
        ..LedgerState::default()
    };
    let ledger = open(&MemoryFileSystem::default(), state).unwrap();
    assert_eq!(ledger.count(&line, noon()).used, 60);
    let full = ledger.reserve(facts(1, 41), &[need(&line, 41)], noon());
    assert!(full.is_err());
    let mut database = Database::default();
    database.counters.insert(older.key, older);
    database.fold(&ledger, 100);
    let amounts: Vec<_> = database
        .counters
        .values()
        .map(|counter| (counter.key.window, counter.amount))
        .collect();
    assert_eq!(amounts, [(named_by_date.key, 0), (window.key, 60)]);
}

/// The same when nobody remembers the edit: the process died in between, or the line was forgotten.
#[test]
fn an_edit_that_is_taken_back_after_it_was_forgotten_sends_nothing_away() {
    for dies in [false, true] {
        let disk = MemoryFileSystem::default();
        let mut ledger = open(&disk, LedgerState::default()).unwrap();
        let (before, edited) = (
            Arc::new(meter(1, MeterKind::Money, 100)),
            Arc::new(aligned("Asia/Kathmandu")),
        );
        let never_sent = ledger
            .reserve(facts(1, 20), &[need(&before, 20)], noon())
            .unwrap();
        ledger.carry_over(std::slice::from_ref(&edited), noon());
        ledger.release(never_sent, noon());
        let mut last = disk;
        if dies {
            last = kill(ledger, &last);
            ledger = open(&last, LedgerState::default()).unwrap();
        } else {
            // Other lines come and go, and with them goes what is not in use.
            for other in 2..10 {
                let other = Arc::new(meter(other, MeterKind::Money, 100));
                let hold = ledger
                    .reserve(facts(9, 1), &[need(&other, 1)], noon())
                    .unwrap();
                ledger.release(hold, noon());
            }
        }
        ledger.carry_over(std::slice::from_ref(&before), noon());
        let _running = ledger
            .reserve(facts(2, 30), &[need(&before, 30)], noon())
            .unwrap();
        let ledger = open(&kill(ledger, &last), LedgerState::default()).unwrap();
        let mut database = Database::default();
        database.fold(&ledger, 100);
        let window = before.window.as_ref().unwrap().window(noon()).key;
        let charged: Vec<_> = database
            .counters
            .values()
            .filter(|counter| counter.amount != 0)
            .map(|counter| (counter.key.window, counter.amount))
            .collect();
        assert_eq!(charged, [(window, 30)], "{dies}");
    }
}

/// However often a line moves, what is held on it and what was used stay together, in one window, also after a death.
#[test]
fn a_hold_follows_its_line_there_and_back_and_further() {
    let start = Arc::new(meter(1, MeterKind::Money, 100));
    let (east, west) = (
        Arc::new(aligned("Asia/Kathmandu")),
        Arc::new(aligned("America/St_Johns")),
    );
    let ways: [&[&Arc<Meter>]; 5] = [
        &[&east, &start],
        &[&east, &west],
        &[&east, &west, &start],
        &[&east, &start, &east],
        &[&east, &west, &start, &west, &east],
    ];
    for (number, way) in ways.into_iter().enumerate() {
        for dies in [false, true] {
            let disk = MemoryFileSystem::default();
            let mut ledger = open(&disk, LedgerState::default()).unwrap();
            let hold = |number, amount| {
                let needs = [need(&start, amount)];
                ledger
                    .reserve(facts(number, amount), &needs, noon())
                    .unwrap()
            };
            let (running, spent) = (hold(1, 30), hold(2, 20));
            ledger.settle(spent, answered(20, noon()));
            for stop in way {
                ledger.carry_over(std::slice::from_ref(stop), noon());
                let count = ledger.count(stop, noon());
                assert_eq!((count.used, count.reserved), (20, 30), "{number}");
            }
            let expected = if dies { 50 } else { 45 };
            if dies {
                ledger = open(&kill(ledger, &disk), LedgerState::default()).unwrap();
            } else {
                ledger.settle(running, answered(25, noon()));
            }
            let last = way.last().unwrap();
            let count = ledger.count(last, noon());
            assert_eq!((count.used, count.reserved), (expected, 0), "{number}");
            let mut database = Database::default();
            database.fold(&ledger, 2);
            let window = last.window.as_ref().unwrap().window(noon()).key;
            for counter in database.counters.values() {
                let is_here = counter.key.window == window;
                let amount = if is_here { expected } else { 0 };
                assert_eq!(counter.amount, amount, "{number}");
            }
        }
    }
}

/// A hold went with its line into a window that ends; when the line comes back to the one before, which still runs, the
/// hold stays where its reservation is.
#[test]
fn a_hold_stays_in_an_ended_window_when_its_line_comes_back() {
    for dies in [false, true] {
        let disk = MemoryFileSystem::default();
        let mut ledger = open(&disk, LedgerState::default()).unwrap();
        let (west, rolling) = (
            Arc::new(aligned("America/St_Johns")),
            Arc::new(meter(1, MeterKind::Money, 100)),
        );
        let midnight: Timestamp = "2026-11-12T00:00:00Z".parse().unwrap();
        let hold = ledger
            .reserve(facts(1, 30), &[need(&west, 30)], noon())
            .unwrap();
        ledger.carry_over(std::slice::from_ref(&rolling), noon());
        ledger.carry_over(std::slice::from_ref(&west), midnight);
        let count = ledger.count(&west, midnight);
        assert_eq!((count.used, count.reserved), (0, 0), "{dies}");
        let expected = if dies { 30 } else { 25 };
        if dies {
            ledger = open(&kill(ledger, &disk), LedgerState::default()).unwrap();
        } else {
            ledger.settle(hold, answered(25, midnight));
        }
        let count = ledger.count(&west, midnight);
        assert_eq!((count.used, count.reserved), (0, 0), "{dies}");
        let mut database = Database::default();
        database.fold(&ledger, 100);
        let ended = rolling.window.as_ref().unwrap().window(noon()).key;
        for counter in database.counters.values() {
            let amount = if counter.key.window == ended {
                expected
            } else {
                0
            };
            assert_eq!(counter.amount, amount, "{dies}");
        }
        assert!(database.counters.values().any(|c| c.amount == expected));
    }
}

#[test]
fn another_duration_starts_at_zero() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    let daily = Arc::new(meter(1, MeterKind::Money, 100));
    ledger.adjust(&daily, 50, note(1), noon()).unwrap();
    let mut weekly = meter(1, MeterKind::Money, 100);
    if let Some(spec) = &mut weekly.window {
        spec.duration = ResetDuration::Week;
    }
    assert_eq!(ledger.count(&weekly, noon()).used, 0);
}

#[test]
fn meters_of_ended_windows_are_forgotten() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    for day in 0..50 {
        let at = seconds_after(86_400 * day);
        for line in 0..20_u128 {
            let budget = Arc::new(meter(
                u128::from(day.unsigned_abs()) * 100 + line,
                MeterKind::Money,
                10,
            ));
            let hold = ledger
                .reserve(facts(1, 1), &[need(&budget, 1)], at)
                .unwrap();
            ledger.settle(hold, answered(1, at));
        }
    }
    assert!(ledger.stats().meters <= 60, "{}", ledger.stats().meters);
}
