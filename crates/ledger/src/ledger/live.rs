//! Reads and corrections for the management API: the same counters that enforcement uses.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_domain::access::Need;
use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::error::MeterReading;
use tollgate_domain::ids::{RequestId, ResetId};
use tollgate_domain::limits::Meter;
use tollgate_domain::live::{AdjustError, CorrectionNote, Count, LiveCounters, UsageReset};
use tollgate_domain::{Timestamp, Usd};

use super::{InDoubt, Ledger};
use crate::journal::{Noted, Record};
use crate::ledger::LedgerStats;
use crate::meters::Verdict;

/// The numbers of one meter, and what they mean for a need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterState {
    /// The numbers.
    pub reading: MeterReading,
    /// Why the need does not fit; `None` when it does.
    pub verdict: Option<Verdict>,
}

impl Ledger {
    /// `now`, or the latest instant of the journal when the clock has stepped back behind it: when a reservation would
    /// count.
    pub fn present(&self, now: Timestamp) -> Timestamp {
        self.meters.advance(now)
    }

    /// What [`Ledger::reserve`] would see and say for each of `needs` at `at`, which may be any instant. Changes nothing.
    pub fn probe(&self, needs: &[Need], at: Timestamp) -> Vec<MeterState> {
        let counts = self.meters.counts(needs.iter().map(|need| &need.meter), at);
        let state = |(need, count): (&Need, &Count)| MeterState {
            reading: MeterReading::new(&need.meter, at, count.used, count.reserved),
            verdict: Verdict::of(*count, need.meter.effective_limit(at), need.amount),
        };
        needs.iter().zip(&counts).map(state).collect()
    }

    /// Brings usage over to the running windows of edited lines at once, rather than at the next request. Call it after
    /// an edit that may have moved a lattice (alignment, zone, fiscal year) took effect.
    pub fn carry_over(&self, meters: &[Arc<Meter>], now: Timestamp) {
        for meter in meters {
            let moves = self.meters.touch(meter, now);
            if !moves.is_empty() {
                self.record_moves(&moves, self.meters.advance(now));
            }
        }
    }

    /// What was done since the start, and what is open.
    pub fn stats(&self) -> LedgerStats {
        LedgerStats {
            unresolved: self.in_doubt.lock().len() as u64,
            meters: self.meters.size() as u64,
            unfolded_bytes: self.unfolded_bytes(),
            ..self.tally.read()
        }
    }

    /// Writes and makes a correction of counters.
    fn correct(
        &self,
        mut changes: Vec<CounterAmount>,
        note: CorrectionNote,
        at: Timestamp,
    ) -> Result<(), AdjustError> {
        self.record_moves(&self.meters.follow(&mut changes), at);
        self.check_range(&changes)?;
        let used = |change: &CounterAmount| self.meters.settled(change).unwrap_or_default();
        let noted = Some(Noted {
            note,
            before: Usd::from_nanos(changes.first().map_or(0, used)),
        });
        self.write_correction(Record::Adjust { at, changes, noted })
    }

    /// No counter leaves the range from zero to the largest amount. Between this and the change only settlements can
    /// come, which add: whoever corrects holds the lock.
    fn check_range(&self, changes: &[CounterAmount]) -> Result<(), AdjustError> {
        for change in changes {
            // Nothing is admitted into a window that has ended, and it may be forgotten here.
            let Some(used) = self.meters.settled(change) else {
                continue;
            };
            let line = change.key.line;
            match used.checked_add(change.amount) {
                None => return Err(AdjustError::TooLarge { line }),
                Some(sum) if sum < 0 && change.amount < 0 => {
                    return Err(AdjustError::BelowZero {
                        line,
                        used: Usd::from_nanos(used),
                        taken: Usd::from_nanos(change.amount.saturating_neg()),
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn write_correction(&self, record: Record) -> Result<(), AdjustError> {
        self.journal
            .admit(&record, 0)
            .map_err(|_| AdjustError::Unavailable)?;
        if let Record::Adjust { changes, .. }
        | Record::Resolve { changes, .. }
        | Record::Reset { changes, .. } = record
        {
            self.meters.apply(&changes);
        }
        Ok(())
    }
}

impl LiveCounters for Ledger {
    fn count(&self, meter: &Meter, now: Timestamp) -> Count {
        let now = self.meters.advance(now);
        self.meters.count(meter, now)
    }

    fn reset(&self, pending: &[UsageReset], now: Timestamp) -> Result<(), AdjustError> {
        let mut made = self.correcting.lock();
        let done = &mut made.resets;
        let wanted: BTreeSet<ResetId> = pending.iter().map(|reset| reset.id).collect();
        done.retain(|id| wanted.contains(id));
        for UsageReset { id, meters } in pending {
            if done.contains(id) {
                continue;
            }
            let at = self.meters.advance(now);
            let mut changes = self.meters.running(meters, at);
            for change in &mut changes {
                change.amount = change.amount.saturating_neg();
            }
            self.record_moves(&self.meters.follow(&mut changes), at);
            // Also when nothing was used: the database hears of it by the record.
            let id = *id;
            self.write_correction(Record::Reset { at, id, changes })?;
            done.insert(id);
        }
        Ok(())
    }

    fn adjust(
        &self,
        meter: &Meter,
        delta: i64,
        note: CorrectionNote,
        now: Timestamp,
    ) -> Result<Count, AdjustError> {
        let mut made = self.correcting.lock();
        let now = self.meters.advance(now);
        if let Some(spec) = &meter.window
            && !made.has(&note, now)?
        {
            let (line, kind) = (meter.id.line, meter.id.kind);
            let window = spec.window(now);
            let change = CounterAmount::new(line, kind, spec.duration, window, delta);
            self.correct(vec![change], note.clone(), now)?;
            made.add(&note, now);
        }
        Ok(self.meters.count(meter, now))
    }

    fn resolve_in_doubt(
        &self,
        request: RequestId,
        amount: Usd,
        note: CorrectionNote,
        now: Timestamp,
    ) -> Result<(), AdjustError> {
        let mut made = self.correcting.lock();
        let at = self.meters.advance(now);
        if made.has(&note, at)? {
            return Ok(());
        }
        let charged = self.in_doubt.lock().get(&request).cloned();
        let InDoubt { cost, mut charges } = charged.ok_or(AdjustError::NotInDoubt)?;
        for change in &mut charges {
            change.amount = amount.nanos().saturating_sub(change.amount);
        }
        self.record_moves(&self.meters.follow(&mut charges), at);
        self.check_range(&charges)?;
        self.write_correction(Record::Resolve {
            at,
            request,
            amount,
            changes: charges,
            noted: Some(Noted {
                note: note.clone(),
                before: cost,
            }),
        })?;
        made.add(&note, at);
        self.in_doubt.lock().remove(&request);
        Ok(())
    }
}
