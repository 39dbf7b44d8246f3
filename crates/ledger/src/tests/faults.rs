//! Disks that are full, tear writes, or fail.

use std::future::Future as _;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tollgate_domain::accounting::LedgerState;
use tollgate_domain::limits::{Meter, MeterKind};
use tollgate_domain::live::LiveCounters as _;

use super::kit::*;
use crate::fs::memory::{Faults, MemoryFileSystem};
use crate::{Ledger, LedgerConfig, OpenError, ReserveError};

fn budget() -> Arc<Meter> {
    Arc::new(meter(1, MeterKind::Money, 1_000_000))
}

fn unavailable<T>(result: &Result<T, ReserveError>) -> bool {
    matches!(result, Err(ReserveError::Unavailable(_)))
}

/// What the next start makes of the disk as it is.
fn restarted(disk: &MemoryFileSystem, budget: &Meter) -> i64 {
    let disk = disk.copy();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    ledger.count(budget, noon()).used
}

#[test]
fn a_full_disk_refuses_new_requests_and_loses_no_running_one() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    disk.set_faults(Faults {
        capacity: Some(1_200_000),
        ..Faults::default()
    });
    let take = |number| ledger.reserve(facts(number, 1), &[need(&budget, 1)], noon());
    let mut running = Vec::new();
    let refused = loop {
        match take(running.len() as u128) {
            Ok(hold) => running.push(hold),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, ReserveError::Unavailable(_)));
    assert!(running.len() > 1_000);
    let all = i64::try_from(running.len()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).reserved, all);
    for hold in running {
        assert!(ledger.settle(hold, answered(3, noon())).written.is_done());
    }
    assert_eq!(restarted(&disk, &budget), 3 * all);
    // Space comes back, and so do requests.
    disk.set_faults(Faults::default());
    assert!(take(0).is_ok());
}

#[test]
fn a_short_write_is_cut_back() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let take = |number| ledger.reserve(facts(number, 7), &[need(&budget, 7)], noon());
    for length in 0..150 {
        disk.set_faults(Faults {
            short_write: Some(length),
            ..Faults::default()
        });
        assert!(unavailable(&take(1)), "cut at {length}");
        assert_eq!(ledger.count(&budget, noon()).reserved, 0);
        ledger.sync().unwrap();
        assert!(ledger.is_available());
    }
    let hold = take(2).unwrap();
    ledger.settle(hold, answered(5, noon()));
    assert_eq!(restarted(&disk, &budget), 5);
}

/// Nobody is sent to a server that is not ready, so it finds out by itself that the disk is well again.
#[test]
fn a_disk_that_takes_nothing_is_noticed_and_tried_again_without_a_request() {
    for faults in [
        Faults {
            fails_writes: true,
            ..Faults::default()
        },
        Faults {
            capacity: Some(0),
            ..Faults::default()
        },
    ] {
        let disk = MemoryFileSystem::default();
        let ledger = open(&disk, LedgerState::default()).unwrap();
        let budget = budget();
        let take = |number| ledger.reserve(facts(number, 7), &[need(&budget, 7)], noon());
        // What is set aside is used up first.
        disk.set_faults(faults);
        let mut holds: Vec<_> = (0..).map_while(|number| take(number).ok()).collect();
        assert!(!ledger.is_available());
        ledger.sync().unwrap();
        assert!(!ledger.is_available(), "nothing has changed");
        disk.set_faults(Faults::default());
        ledger.sync().unwrap();
        assert!(ledger.is_available());
        holds.push(take(1_000_000).unwrap());
        let count = i64::try_from(holds.len()).unwrap();
        for hold in holds {
            ledger.settle(hold, answered(5, noon()));
        }
        assert_eq!(restarted(&disk, &budget), 5 * count);
    }
}

#[test]
fn with_interval_zero_a_disk_that_is_well_again_is_found_out_too() {
    let disk = MemoryFileSystem::default();
    let config = LedgerConfig {
        sync_interval: Duration::ZERO,
        ..config()
    };
    let ledger = open_with(&disk, &config, LedgerState::default()).unwrap();
    let budget = budget();
    let take = |number| ledger.reserve(facts(number, 7), &[need(&budget, 7)], noon());
    let hold = take(1).unwrap();
    disk.set_faults(Faults {
        fails_writes: true,
        ..Faults::default()
    });
    assert!(block_on(ledger.settle(hold, answered(5, noon())).written).is_err());
    assert!(!ledger.is_available());
    disk.set_faults(Faults::default());
    while !ledger.is_available() {
        std::thread::yield_now();
    }
    assert_eq!(restarted(&disk, &budget), 5);
}

#[test]
fn a_torn_write_that_cannot_be_cut_back_stops_admission_until_it_is() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let take = |number| ledger.reserve(facts(number, 7), &[need(&budget, 7)], noon());
    let running = take(1).unwrap();
    let uncut = Faults {
        fails_cuts: true,
        ..Faults::default()
    };
    disk.set_faults(Faults {
        short_write: Some(20),
        ..uncut
    });
    assert!(unavailable(&take(2)));
    assert!(!ledger.is_available());
    assert!(unavailable(&take(3)), "it is still there");
    ledger.sync().unwrap();
    assert!(!ledger.is_available());
    // Death now: what is torn is set aside.
    assert_eq!(restarted(&disk, &budget), 7);
    disk.set_faults(Faults::default());
    ledger.settle(running, answered(5, noon()));
    assert_eq!(restarted(&disk, &budget), 5);
    let hold = take(4).unwrap();
    ledger.sync().unwrap();
    assert!(ledger.is_available());
    ledger.settle(hold, answered(5, noon()));
    assert_eq!(restarted(&disk, &budget), 10);
    let report = crate::journal::verify_on(&disk, std::path::Path::new("/data/journal")).unwrap();
    assert!(
        report
            .segments
            .iter()
            .all(|segment| segment.damage.is_empty())
    );
}

/// A file system that was mounted read-only, or a directory that was given to somebody else.
#[test]
fn a_journal_that_may_not_be_written_refuses_until_it_may_and_loses_nothing() {
    for kind in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
        let disk = MemoryFileSystem::default();
        let small = LedgerConfig {
            segment_bytes: 2_048,
            ..config()
        };
        let ledger = open_with(&disk, &small, LedgerState::default()).unwrap();
        let budget = budget();
        let take = |number| ledger.reserve(facts(number, 7), &[need(&budget, 7)], noon());
        let mut database = Database::default();
        ledger.settle(take(0).unwrap(), answered(5, noon()));
        let running = take(1).unwrap();
        ledger.sync().unwrap();
        disk.set_faults(Faults {
            read_only: Some(kind),
            ..Faults::default()
        });
        // Nothing new, also where a new segment would be begun.
        for number in 2..40 {
            assert!(unavailable(&take(number)));
        }
        assert!(!ledger.is_available());
        assert!(
            !ledger
                .settle(running, answered(5, noon()))
                .written
                .is_done()
        );
        ledger.sync().unwrap();
        assert!(!ledger.is_available());
        let count = ledger.count(&budget, noon());
        assert_eq!((count.used, count.reserved), (10, 0));
        // What is on disk still gets into the database.
        database.fold(&ledger, 1);
        assert_eq!(database.sum(MeterKind::Money), 5);
        disk.set_faults(Faults::default());
        ledger.sync().unwrap();
        assert!(ledger.is_available());
        for number in 40..60 {
            ledger.settle(take(number).unwrap(), answered(5, noon()));
        }
        assert_eq!(restarted(&disk, &budget), 110);
        database.fold(&ledger, 3);
        assert_eq!(database.sum(MeterKind::Money), 110);
        assert_eq!(database.logged_cost(), 110);
    }
}

#[test]
fn a_start_where_nothing_may_be_written_says_so_and_changes_nothing() {
    let budget = budget();
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let hold = ledger
        .reserve(facts(1, 7), &[need(&budget, 7)], noon())
        .unwrap();
    ledger.settle(hold, answered(5, noon()));
    let disk = kill(ledger, &disk);
    for kind in [ErrorKind::ReadOnlyFilesystem, ErrorKind::PermissionDenied] {
        disk.set_faults(Faults {
            read_only: Some(kind),
            ..Faults::default()
        });
        let refused = open(&disk, LedgerState::default()).unwrap_err();
        assert!(
            matches!(&refused, OpenError::NotWritable { source, .. } if source.kind() == kind),
            "{refused}"
        );
        // Looking is allowed.
        let report = crate::journal::verify_on(&disk, std::path::Path::new("/data/journal"));
        assert_eq!(report.unwrap().settled.nanos(), 5);
        disk.set_faults(Faults::default());
    }
    assert_eq!(restarted(&disk, &budget), 5);
}

/// Where the system cannot set space aside, zeros stand behind the end; they are no records and no damage.
#[test]
fn space_that_is_set_aside_by_zeros_changes_nothing() {
    let zeros = Faults {
        allocates_zeros: true,
        ..Faults::default()
    };
    let disk = MemoryFileSystem::default();
    disk.set_faults(zeros);
    let small = LedgerConfig {
        segment_bytes: 4_096,
        ..config()
    };
    let budget = budget();
    let mut database = Database::default();
    let mut disk = disk;
    let mut spent = 0;
    for round in 0..6_u128 {
        let ledger = open_with(&disk, &small, database.state()).unwrap();
        for number in 0..20 {
            let number = round * 100 + number;
            let hold = ledger
                .reserve(facts(number, 7), &[need(&budget, 7)], noon())
                .unwrap();
            ledger.settle(hold, answered(5, noon()));
            spent += 5;
        }
        disk.set_faults(Faults {
            short_write: Some(30),
            ..zeros
        });
        assert!(unavailable(&ledger.reserve(
            facts(round, 7),
            &[need(&budget, 7)],
            noon()
        )));
        assert_eq!(ledger.count(&budget, noon()).used, spent);
        if round % 2 == 0 {
            database.fold(&ledger, 7);
            assert_eq!(database.sum(MeterKind::Money), spent);
        }
        disk = kill(ledger, &disk);
        disk.set_faults(zeros);
    }
    let ledger = open_with(&disk, &small, database.state()).unwrap();
    assert_eq!(ledger.count(&budget, noon()).used, spent);
}

#[test]
fn an_end_that_the_disk_does_not_take_is_written_later_and_nothing_is_admitted_until_then() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let take = |number| ledger.reserve(facts(number, 7), &[need(&budget, 7)], noon());
    let hold = take(1).unwrap();
    disk.set_faults(Faults {
        fails_writes: true,
        ..Faults::default()
    });
    let settled = ledger.settle(hold, answered(5, noon()));
    assert!(!settled.written.is_done());
    assert!(matches!(poll(settled.written), Poll::Ready(Err(_))));
    assert!(unavailable(&take(2)));
    // Death now: the answer was not ended, and is charged at its bound.
    assert_eq!(restarted(&disk, &budget), 7);
    disk.set_faults(Faults::default());
    ledger.sync().unwrap();
    assert!(ledger.is_available());
    assert_eq!(restarted(&disk, &budget), 5);
    let _ = take(3).unwrap();
}

#[test]
fn a_sync_that_fails_stops_admission_for_good() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    let running = ledger
        .reserve(facts(1, 7), &[need(&budget, 7)], noon())
        .unwrap();
    disk.set_faults(Faults {
        fails_syncs: true,
        ..Faults::default()
    });
    ledger.sync().unwrap_err();
    disk.set_faults(Faults::default());
    assert!(unavailable(&ledger.reserve(
        facts(2, 7),
        &[need(&budget, 7)],
        noon()
    )));
    assert!(
        ledger
            .read_batch(tollgate_domain::accounting::JournalPosition::default(), 10)
            .is_err()
    );
    ledger.settle(running, answered(5, noon()));
    assert_eq!(restarted(&disk, &budget), 5);
}

#[test]
fn with_interval_zero_an_answer_waits_for_the_disk() {
    let disk = MemoryFileSystem::default();
    let config = LedgerConfig {
        sync_interval: Duration::ZERO,
        ..config()
    };
    let ledger = open_with(&disk, &config, LedgerState::default()).unwrap();
    let budget = budget();
    for number in 0..20 {
        let hold = ledger
            .reserve(facts(number, 7), &[need(&budget, 7)], noon())
            .unwrap();
        wait(ledger.settle(hold, answered(5, noon())).written);
        // What the power could not take any more.
        let left = MemoryFileSystem::default();
        left.put(&segment(1), &disk.get_synced(&segment(1)));
        let expected = 5 * (i64::try_from(number).unwrap() + 1);
        assert_eq!(restarted(&left, &budget), expected);
    }
}

#[test]
fn with_interval_zero_a_failing_disk_fails_the_answer() {
    let disk = MemoryFileSystem::default();
    let config = LedgerConfig {
        sync_interval: Duration::ZERO,
        ..config()
    };
    let ledger = open_with(&disk, &config, LedgerState::default()).unwrap();
    let budget = budget();
    let hold = ledger
        .reserve(facts(1, 7), &[need(&budget, 7)], noon())
        .unwrap();
    disk.set_faults(Faults {
        fails_syncs: true,
        ..Faults::default()
    });
    let written = ledger.settle(hold, answered(5, noon())).written;
    assert!(block_on(written).is_err());
    assert!(!ledger.is_available());
}

#[test]
fn a_disk_that_takes_no_new_segment_lets_the_old_one_grow() {
    let disk = MemoryFileSystem::default();
    let small = LedgerConfig {
        segment_bytes: 4_096,
        ..config()
    };
    let ledger = open_with(&disk, &small, LedgerState::default()).unwrap();
    let budget = budget();
    let spend = |ledger: &Ledger, number| {
        let hold = ledger.reserve(facts(number, 1), &[need(&budget, 1)], noon())?;
        ledger.settle(hold, answered(1, noon()));
        Ok::<_, ReserveError>(())
    };
    disk.set_faults(Faults {
        capacity: Some(1_100_000),
        ..Faults::default()
    });
    for number in 0..40 {
        spend(&ledger, number).unwrap();
    }
    assert!(!disk.paths().contains(&segment(2)));
    disk.set_faults(Faults::default());
    spend(&ledger, 40).unwrap();
    assert!(disk.paths().contains(&segment(2)));
    assert_eq!(restarted(&disk, &budget), 41);
}

fn poll(written: crate::Written) -> Poll<Result<(), crate::Unavailable>> {
    pin!(written).poll(&mut Context::from_waker(Waker::noop()))
}

/// Wakes the thread that waits.
struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on(written: crate::Written) -> Result<(), crate::Unavailable> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut written = pin!(written);
    loop {
        match written.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn wait(written: crate::Written) {
    block_on(written).unwrap();
}
