//! Corrections by hand: in the journal with who and why, once in the audit trail, never below zero.

use std::sync::Arc;

use tollgate_domain::Usd;
use tollgate_domain::accounting::{Corrected, LedgerState, Outcome};
use tollgate_domain::limits::{Meter, MeterKind, ResetDuration, WindowSpec};
use tollgate_domain::live::{AdjustError, CorrectionNote, LiveCounters as _, Once};

use super::kit::*;
use crate::Ledger;
use crate::fs::memory::{Faults, MemoryFileSystem};

fn budget() -> Arc<Meter> {
    Arc::new(meter(1, MeterKind::Money, 1_000))
}

fn charge_in_doubt(ledger: &Ledger, budget: &Arc<Meter>, number: u128, amount: i64) {
    let needs = [need(budget, amount)];
    let mut hold = ledger
        .reserve(facts(number, amount), &needs, noon())
        .unwrap();
    hold.mark_dispatched();
    ledger.settle(hold, ended(Outcome::InDoubt, noon()));
}

/// The edit of a calendar takes the charge along, and the next process has seen no request yet.
#[test]
fn what_was_charged_in_doubt_is_corrected_where_it_went_also_after_a_start() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let before = budget();
    charge_in_doubt(&ledger, &before, 1, 30);
    let mut edited = meter(1, MeterKind::Money, 1_000);
    if let Some(window) = &mut edited.window {
        window.zone = Some("Asia/Kathmandu".parse().unwrap());
    }
    let after = Arc::new(edited);
    ledger.carry_over(std::slice::from_ref(&after), noon());
    let mut database = Database::default();
    database.fold(&ledger, 10);

    let ledger = open(&kill(ledger, &disk), database.state()).unwrap();
    ledger
        .resolve_in_doubt(request(1), Usd::from_nanos(4), note(1), noon())
        .unwrap();
    assert_eq!(ledger.count(&after, noon()).used, 4);
    database.fold(&ledger, 10);
    assert_eq!(database.sum(MeterKind::Money), 4);
    let mut counters = database.counters.values();
    assert!(counters.all(|counter| counter.amount >= 0));
}

#[test]
fn the_audit_trail_gets_each_correction_once_with_who_why_and_what() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    charge_in_doubt(&ledger, &budget, 1, 30);
    ledger.adjust(&budget, 40, note(1), noon()).unwrap();
    ledger
        .resolve_in_doubt(request(1), Usd::from_nanos(10), note(2), noon())
        .unwrap();
    ledger
        .reset(&[reset(1, &[budget.id])], noon())
        .expect("a reset has its own audit entry");
    // The process dies before the database has anything.
    let disk = kill(ledger, &disk);
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let mut database = Database::default();
    database.fold(&ledger, 2);
    let told: Vec<_> = database
        .corrections
        .iter()
        .map(|one| (one.note.clone(), one.before.nanos(), one.after.nanos()))
        .collect();
    assert_eq!(told, [(note(1), 30, 70), (note(2), 30, 10)]);
    assert!(matches!(
        database.corrections[0].of,
        Corrected::Budget(change) if change.key.line == budget.id.line && change.amount == 40
    ));
    assert_eq!(database.corrections[1].of, Corrected::InDoubt(request(1)));
    assert_eq!(database.sum(MeterKind::Money), 0);
    assert_eq!(database.logged_cost(), 10);
}

#[test]
fn nothing_goes_below_zero_or_beyond_the_largest_amount() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    let budget = budget();
    let line = budget.id.line;
    ledger.adjust(&budget, 40, note(1), noon()).unwrap();
    assert_eq!(
        ledger.adjust(&budget, -41, note(2), noon()),
        Err(AdjustError::BelowZero {
            line,
            used: Usd::from_nanos(40),
            taken: Usd::from_nanos(41),
        })
    );
    assert_eq!(
        ledger.adjust(&budget, i64::MAX, note(3), noon()),
        Err(AdjustError::TooLarge { line })
    );
    assert_eq!(ledger.count(&budget, noon()).used, 40);
    assert_eq!(
        ledger.adjust(&budget, -40, note(4), noon()).unwrap().used,
        0
    );
}

#[test]
fn what_was_credited_by_hand_is_not_written_off_again() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    let budget = budget();
    charge_in_doubt(&ledger, &budget, 1, 30);
    ledger.adjust(&budget, -20, note(1), noon()).unwrap();
    let write_off = || ledger.resolve_in_doubt(request(1), Usd::ZERO, note(2), noon());
    assert!(matches!(write_off(), Err(AdjustError::BelowZero { .. })));
    assert_eq!(ledger.stats().unresolved, 1);
    ledger.adjust(&budget, 20, note(3), noon()).unwrap();
    write_off().unwrap();
    assert_eq!(write_off(), Err(AdjustError::NotInDoubt));
    assert_eq!(ledger.count(&budget, noon()).used, 0);
}

#[test]
fn a_full_disk_corrects_nothing() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    charge_in_doubt(&ledger, &budget, 1, 30);
    disk.set_faults(Faults {
        fails_writes: true,
        ..Faults::default()
    });
    assert_eq!(
        ledger.adjust(&budget, 1, note(1), noon()),
        Err(AdjustError::Unavailable)
    );
    let write_off = || ledger.resolve_in_doubt(request(1), Usd::ZERO, note(2), noon());
    assert_eq!(write_off(), Err(AdjustError::Unavailable));
    assert_eq!(ledger.count(&budget, noon()).used, 30);
    assert_eq!(ledger.stats().unresolved, 1);
}

fn once(number: u128, key: &str, fingerprint: u8) -> CorrectionNote {
    CorrectionNote {
        once: Some(Once {
            key: key.to_owned(),
            fingerprint: [fingerprint; 32],
        }),
        ..note(number)
    }
}

#[test]
fn a_repeated_correction_is_made_once_whenever_the_process_dies() {
    let budget = budget();
    // The database has nothing, the credit, or all of it.
    for folds in 0..3 {
        let disk = MemoryFileSystem::default();
        let mut database = Database::default();
        let ledger = open(&disk, database.state()).unwrap();
        charge_in_doubt(&ledger, &budget, 1, 30);
        if folds > 0 {
            database.fold(&ledger, 1);
        }
        ledger.adjust(&budget, 40, once(1, "a", 1), noon()).unwrap();
        let again = ledger.adjust(&budget, 40, once(2, "a", 1), noon());
        assert_eq!(again.unwrap().used, 70);
        ledger
            .resolve_in_doubt(request(1), Usd::ZERO, once(3, "b", 2), noon())
            .unwrap();
        if folds > 1 {
            database.fold(&ledger, 1);
        }
        let disk = kill(ledger, &disk);
        let ledger = open(&disk, database.state()).unwrap();
        let again = ledger.adjust(&budget, 40, once(4, "a", 1), noon());
        assert_eq!(again.unwrap().used, 40, "{folds} folds");
        assert_eq!(
            ledger.resolve_in_doubt(request(1), Usd::ZERO, once(5, "b", 2), noon()),
            Ok(())
        );
        assert_eq!(
            ledger.adjust(&budget, 41, once(6, "a", 9), noon()),
            Err(AdjustError::KeyReused)
        );
        database.fold(&ledger, 2);
        let ids: Vec<_> = database.corrections.iter().map(|one| one.note.id).collect();
        assert_eq!(ids, [note(1).id, note(3).id], "{folds} folds");
        assert_eq!(database.sum(MeterKind::Money), 40);
    }
}

#[test]
fn a_key_is_known_for_a_day_and_to_its_actor_alone() {
    let ledger = open(&MemoryFileSystem::default(), LedgerState::default()).unwrap();
    let budget = Arc::new(Meter {
        window: Some(WindowSpec {
            duration: ResetDuration::Year,
            ..budget().window.clone().unwrap()
        }),
        ..meter(1, MeterKind::Money, 1_000)
    });
    let adjust = |note, at| ledger.adjust(&budget, 1, note, at).map(|count| count.used);
    let other = CorrectionNote {
        actor: "mk_2".to_owned(),
        ..once(2, "a", 2)
    };
    let day_after = noon().saturating_add_micros(Once::KEPT_FOR);
    assert_eq!(adjust(once(1, "a", 1), noon()), Ok(1));
    assert_eq!(adjust(other, noon()), Ok(2));
    assert_eq!(adjust(once(3, "a", 1), day_after), Ok(2));
    let later = day_after.saturating_add_micros(1);
    assert_eq!(adjust(once(4, "a", 3), later), Ok(3));
    assert_eq!(adjust(once(5, "a", 3), later), Ok(3));
    assert_eq!(adjust(once(6, "b", 1), later), Ok(4));
    assert_eq!(adjust(note(7), later), Ok(5));
    assert_eq!(adjust(note(8), later), Ok(6));
}

#[test]
fn a_correction_that_was_not_written_can_be_repeated() {
    let disk = MemoryFileSystem::default();
    let ledger = open(&disk, LedgerState::default()).unwrap();
    let budget = budget();
    disk.set_faults(Faults {
        fails_writes: true,
        ..Faults::default()
    });
    let adjust = || ledger.adjust(&budget, 1, once(1, "a", 1), noon());
    assert_eq!(adjust(), Err(AdjustError::Unavailable));
    disk.set_faults(Faults::default());
    assert_eq!(adjust().unwrap().used, 1);
    assert_eq!(adjust().unwrap().used, 1);
}
