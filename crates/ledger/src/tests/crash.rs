//! Death at any instant, and files that were cut anywhere.

use std::sync::Arc;

use tollgate_domain::accounting::{JournalPosition, LedgerState, Outcome};
use tollgate_domain::limits::{Meter, MeterKind};
use tollgate_domain::live::LiveCounters as _;
use uuid::Uuid;

use super::kit::*;
use crate::fs::memory::MemoryFileSystem;
use crate::journal::{HEADER_BYTES, repair_on, verify_on};
use crate::{Ledger, LedgerConfig, OpenError};

fn budget() -> Arc<Meter> {
    Arc::new(meter(1, MeterKind::Money, 1_000_000))
}

/// A few requests, some of them ended, some synced; yields what the answered ones cost and what the open ones hold.
fn traffic(ledger: &Ledger, budget: &Arc<Meter>) -> (i64, i64) {
    let open = |number| {
        let needs = [need(budget, 100)];
        ledger.reserve(facts(number, 100), &needs, noon()).unwrap()
    };
    ledger.settle(open(1), answered(30, noon()));
    let _ = open(2);
    ledger.settle(open(3), ended(Outcome::Failed, noon()));
    ledger.sync().unwrap();
    ledger.settle(open(4), answered(50, noon()));
    ledger.release(open(5), noon());
    let _ = open(6);
    (80, 200)
}

#[test]
fn open_holds_of_a_dead_process_are_charged_in_doubt_once() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let (answered, held) = traffic(&ledger, &budget);
    let disk = kill(ledger, &disk);
    for _ in 0..3 {
        let ledger = open(&disk, LedgerState::default()).unwrap();
        assert_eq!(ledger.count(&budget, noon()).used, answered + held);
        assert_eq!(ledger.count(&budget, noon()).reserved, 0);
        assert_eq!(ledger.stats().unresolved, 2);
    }
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let mut database = Database::default();
    database.fold(&ledger, 3);
    assert_eq!(database.sum(MeterKind::Money), answered + held);
    assert_eq!(database.logged_cost(), answered + held);
    assert_eq!(database.open_requests(), []);
    // From the database alone, and with nothing left to replay.
    drop(ledger);
    let ledger = open(&disk, database.state()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, answered + held);
    ledger
        .resolve_in_doubt(request(2), tollgate_domain::Usd::ZERO, note(1), noon())
        .unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, answered + held - 100);
}

/// Whatever was settled before the cut counts exactly; whatever was open there counts at its bound (I3).
#[test]
fn a_journal_cut_at_any_byte_starts_and_charges_what_it_says() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    traffic(&ledger, &budget);
    let whole = kill(ledger, &disk).get(&segment(1));
    let mut charges = Vec::new();
    for cut in 0..=whole.len() {
        let disk = MemoryFileSystem::default();
        disk.put(&segment(1), &whole[..cut]);
        let ledger = open(&disk, LedgerState::default()).unwrap();
        let count = ledger.count(&budget, noon());
        assert_eq!(count.reserved, 0);
        charges.push(count.used);
        let mut database = Database::default();
        database.fold(&ledger, 2);
        assert_eq!(database.sum(MeterKind::Money), count.used, "cut at {cut}");
        assert_eq!(database.logged_cost(), count.used, "cut at {cut}");
        // And it goes on.
        let hold = ledger
            .reserve(facts(9, 5), &[need(&budget, 5)], noon())
            .unwrap();
        assert!(ledger.settle(hold, answered(5, noon())).written.is_done());
    }
    charges.dedup();
    // Nothing; 1 open, settled; 2 open; 3 open, failed; 4 open, settled; 5 open, released; 6 open.
    assert_eq!(
        charges,
        [0, 100, 30, 130, 230, 130, 230, 180, 280, 180, 280]
    );
}

#[test]
fn damage_after_the_watermark_is_salvaged_and_before_it_refused() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    traffic(&ledger, &budget);
    let disk = kill(ledger, &disk);
    let whole = disk.get(&segment(1));
    let watermark = verify_on(&disk, "/data/journal".as_ref())
        .unwrap()
        .watermark;
    let synced = usize::try_from(watermark.offset).unwrap();
    assert!(synced > 0 && synced < whole.len());
    for at in (usize::try_from(HEADER_BYTES).unwrap()..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x40;
        let disk = MemoryFileSystem::default();
        disk.put(&segment(1), &damaged);
        let result = open(&disk, LedgerState::default());
        if at < synced {
            assert!(
                matches!(result, Err(OpenError::Damaged { .. })),
                "damage at {at}"
            );
            // The way out: a repair keeps what still reads, in its place.
            let report = repair_on(&disk, "/data/journal".as_ref()).unwrap();
            assert_eq!((report.kept.len(), report.skipped.len()), (1, 1));
            assert_eq!(disk.get(&segment(1)).len(), whole.len());
            let ledger = open(&disk, LedgerState::default()).unwrap();
            assert!(ledger.count(&budget, noon()).used > 0);
            Database::default().fold(&ledger, 100);
        } else {
            let ledger = result.unwrap();
            assert!(
                disk.paths()
                    .iter()
                    .any(|path| path.to_string_lossy().contains("torn-"))
            );
            Database::default().fold(&ledger, 100);
        }
    }
}

#[test]
fn a_damaged_header_is_refused_and_repaired() {
    let disk = MemoryFileSystem::default();
    let small = LedgerConfig {
        segment_bytes: 600,
        ..config()
    };
    let ledger = open_with(&disk, &small, LedgerState::default()).unwrap();
    let budget = budget();
    let (answered, held) = traffic(&ledger, &budget);
    let disk = kill(ledger, &disk);
    let mut damaged = disk.get(&segment(2));
    damaged[9] ^= 1;
    disk.put(&segment(2), &damaged);
    assert!(matches!(
        open(&disk, LedgerState::default()),
        Err(OpenError::Damaged {
            at: JournalPosition {
                segment: 2,
                offset: 0
            }
        })
    ));
    repair_on(&disk, "/data/journal".as_ref()).unwrap();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, answered + held);
}

#[test]
fn an_only_header_that_does_not_read_is_guessed_from_what_is_left_of_it() {
    let dir = std::path::Path::new("/data/journal");
    let whole = MemoryFileSystem::default();
    let ledger = open(&whole, LedgerState::default()).unwrap();
    let budget = budget();
    let (answered, held) = traffic(&ledger, &budget);
    let whole = kill(ledger, &whole);
    for at in 0..usize::try_from(HEADER_BYTES).unwrap() {
        let mut damaged = whole.get(&segment(1));
        damaged[at] ^= 1;
        let disk = MemoryFileSystem::default();
        disk.put(&segment(1), &damaged);
        assert!(matches!(
            open(&disk, LedgerState::default()),
            Err(OpenError::Damaged { .. })
        ));
        let report = verify_on(&disk, dir).unwrap();
        assert!(!report.is_sound(), "damage at {at}");
        let names_journal = !(8..24).contains(&at);
        assert_eq!(report.journal.is_some(), names_journal, "damage at {at}");
        if names_journal {
            assert_eq!(repair_on(&disk, dir).unwrap().kept.len(), 1);
            let ledger = open(&disk, LedgerState::default()).unwrap();
            assert_eq!(ledger.count(&budget, noon()).used, answered + held);
            continue;
        }
        let refused = repair_on(&disk, dir).unwrap_err().to_string();
        assert!(refused.contains("journal.accept_foreign"), "{refused}");
        assert_eq!(disk.get(&segment(1)), damaged, "nothing was changed");
        let accepting = LedgerConfig {
            accepts_foreign_journal: true,
            ..config()
        };
        let ledger = open_with(&disk, &accepting, LedgerState::default()).unwrap();
        assert_eq!(ledger.count(&budget, noon()).used, 0);
    }
}

#[test]
fn time_does_not_run_behind_what_only_the_journal_knows() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let tomorrow = seconds_after(86_400);
    let hold = ledger
        .reserve(facts(1, 9), &[need(&budget, 9)], tomorrow)
        .unwrap();
    ledger.settle(hold, answered(5, tomorrow));
    let disk = kill(ledger, &disk);
    // The clock was set back meanwhile.
    let ledger = open(&disk, LedgerState::default()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, 5);
    let hold = ledger
        .reserve(facts(2, 9), &[need(&budget, 9)], noon())
        .unwrap();
    assert_eq!(hold.facts().at, tomorrow);
    ledger.release(hold, noon());
}

#[test]
fn a_missing_segment_is_refused() {
    let disk = MemoryFileSystem::default();
    let small = LedgerConfig {
        segment_bytes: 600,
        ..config()
    };
    let ledger = open_with(&disk, &small, LedgerState::default()).unwrap();
    traffic(&ledger, &budget());
    let disk = kill(ledger, &disk);
    assert!(disk.paths().contains(&segment(3)));
    crate::fs::FileSystem::remove(&disk, &segment(2)).unwrap();
    assert!(matches!(
        open(&disk, LedgerState::default()),
        Err(OpenError::Damaged {
            at: JournalPosition { segment: 2, .. }
        })
    ));
}

#[test]
fn a_database_ahead_of_the_disk_begins_a_new_segment() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let (answered_cost, held) = traffic(&ledger, &budget);
    let mut database = Database::default();
    database.fold(&ledger, 100);
    let left = kill(ledger, &disk);
    let whole = left.get(&segment(1));
    // The power failed before the last bytes were on disk.
    left.put(&segment(1), &whole[..whole.len() / 2]);
    let ledger = open(&left, database.state()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, answered_cost + held);
    let hold = ledger
        .reserve(facts(9, 5), &[need(&budget, 5)], noon())
        .unwrap();
    ledger.settle(hold, answered(5, noon()));
    database.fold(&ledger, 100);
    assert_eq!(database.sum(MeterKind::Money), answered_cost + held + 5);
    assert_eq!(database.state.position.segment, 2);
}

#[test]
fn a_journal_that_is_not_the_databases_refuses_to_start() {
    let disk = MemoryFileSystem::default();
    let knows = |journal| LedgerState {
        journal: Some(Uuid::from_u128(journal)),
        position: JournalPosition {
            segment: 4,
            offset: 90,
        },
        ..LedgerState::default()
    };
    assert!(matches!(
        open(&disk, knows(77)),
        Err(OpenError::Missing { .. })
    ));
    let accepting = LedgerConfig {
        accepts_foreign_journal: true,
        ..config()
    };
    drop(open_with(&disk, &accepting, knows(77)).unwrap());
    assert!(disk.paths().contains(&segment(5)));
    drop(open(&disk, knows(77)).unwrap());
    assert!(matches!(
        open(&disk, knows(78)),
        Err(OpenError::Foreign { .. })
    ));
    assert!(matches!(
        open(&disk, LedgerState::default()),
        Err(OpenError::Foreign { .. })
    ));
    drop(open_with(&disk, &accepting, knows(78)).unwrap());
    assert!(matches!(
        open(&disk, knows(77)),
        Err(OpenError::Foreign { .. })
    ));
}

#[test]
fn one_process_at_a_time() {
    let disk = MemoryFileSystem::default();
    let first = open(&disk, LedgerState::default()).unwrap();
    assert!(matches!(
        open(&disk, LedgerState::default()),
        Err(OpenError::Locked { .. })
    ));
    drop(first);
    open(&disk, LedgerState::default()).unwrap();
}

#[test]
fn on_the_hosts_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let config = LedgerConfig::new(dir.path(), Uuid::from_u128(77));
    let budget = budget();
    let start = || Ledger::open(config.clone(), LedgerState::default(), noon());
    let ledger = start().unwrap();
    let (answered, held) = traffic(&ledger, &budget);
    assert!(matches!(start(), Err(OpenError::Locked { .. })));
    drop(ledger);
    let report = crate::verify(dir.path()).unwrap();
    assert!(report.is_sound());
    assert_eq!((report.open_holds, report.settled.nanos()), (2, answered));
    let ledger = start().unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, answered + held);
    drop(ledger);
    assert_eq!(
        crate::repair(dir.path()).unwrap(),
        crate::RepairReport::default()
    );
}
