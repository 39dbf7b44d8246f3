//! What the ledger has done since it was opened, and what is open now.

use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_domain::accounting::Outcome;

/// Gauges and counts of the ledger. `opened = settled + released + in_doubt + open`, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LedgerStats {
    /// Holds given since the start.
    pub opened: u64,
    /// Of those, settled by what was consumed, or by nothing when the provider failed.
    pub settled: u64,
    /// Of those, given back without having been dispatched.
    pub released: u64,
    /// Of those, charged at their bound because nobody knows.
    pub in_doubt: u64,
    /// Of those, still open.
    pub open: u64,
    /// Requests that were refused and recorded.
    pub refused: u64,
    /// In-doubt amounts that nobody has resolved yet, also from before the start.
    pub unresolved: u64,
    /// Meters that are remembered.
    pub meters: u64,
    /// Bytes of the journal that the database has not taken over.
    pub unfolded_bytes: u64,
}

/// Counts that are only ever added to, without a lock: nothing is decided by them.
///
/// An end is counted after its beginning and read before it, so that whoever sees the end sees the beginning too.
#[derive(Debug, Default)]
pub(super) struct Tally {
    opened: AtomicU64,
    settled: AtomicU64,
    released: AtomicU64,
    in_doubt: AtomicU64,
    refused: AtomicU64,
}

fn step(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Release);
}

impl Tally {
    pub(super) fn opened(&self) {
        step(&self.opened);
    }

    pub(super) fn closed(&self, outcome: Outcome) {
        step(if outcome == Outcome::InDoubt {
            &self.in_doubt
        } else {
            &self.settled
        });
    }

    pub(super) fn released(&self) {
        step(&self.released);
    }

    pub(super) fn refused(&self) {
        step(&self.refused);
    }

    pub(super) fn read(&self) -> LedgerStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        // The ends first: a hold that opens and closes in between must not make `open` negative.
        let (settled, released, in_doubt) =
            (get(&self.settled), get(&self.released), get(&self.in_doubt));
        let opened = get(&self.opened);
        LedgerStats {
            opened,
            settled,
            released,
            in_doubt,
            open: opened.saturating_sub(settled + released + in_doubt),
            refused: get(&self.refused),
            ..LedgerStats::default()
        }
    }
}
