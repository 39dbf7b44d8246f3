//! Reads and corrections for the management API: the same counters that enforcement uses.

use tollgate_domain::access::Need;
use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::error::MeterReading;
use tollgate_domain::ids::RequestId;
use tollgate_domain::limits::{Meter, MeterId};
use tollgate_domain::live::{AdjustError, Count, LiveCounters};
use tollgate_domain::{Timestamp, Usd};

use super::Ledger;
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
    /// What [`Ledger::reserve`] would see and say for each of `needs` at `at`, which may be any instant. Changes nothing.
    pub fn probe(&self, needs: &[Need], at: Timestamp) -> Vec<MeterState> {
        let counts = self.meters.counts(needs.iter().map(|need| &need.meter), at);
        let state = |(need, count): (&Need, &Count)| MeterState {
            reading: MeterReading::new(&need.meter, at, count.used, count.reserved),
            verdict: Verdict::of(*count, need.meter.effective_limit(at), need.amount),
        };
        needs.iter().zip(&counts).map(state).collect()
    }

    /// What was done since the start, and what is open.
    pub fn stats(&self) -> LedgerStats {
        LedgerStats {
            unresolved: self.in_doubt.lock().len() as u64,
            meters: self.meters.size() as u64,
            ..self.tally.read()
        }
    }
}

impl LiveCounters for Ledger {
    fn count(&self, meter: &Meter, now: Timestamp) -> Count {
        self.meters.count(meter, now)
    }

    fn reset(&self, meters: &[MeterId], now: Timestamp) -> Result<(), AdjustError> {
        let mut changes = self.meters.running(meters, now);
        for change in &mut changes {
            change.amount = change.amount.saturating_neg();
        }
        self.meters.apply(&changes);
        Ok(())
    }

    fn adjust(&self, meter: &Meter, delta: i64, now: Timestamp) -> Result<Count, AdjustError> {
        let now = self.meters.advance(now);
        if let Some(spec) = &meter.window {
            let change = CounterAmount::new(
                meter.id.line,
                meter.id.kind,
                spec.duration,
                spec.window(now),
                delta,
            );
            self.meters.apply(&[change]);
        }
        Ok(self.meters.count(meter, now))
    }

    fn resolve_in_doubt(
        &self,
        request: RequestId,
        _amount: Usd,
        _now: Timestamp,
    ) -> Result<(), AdjustError> {
        self.in_doubt
            .lock()
            .remove(&request)
            .map(|_| ())
            .ok_or(AdjustError::NotInDoubt)
    }
}
