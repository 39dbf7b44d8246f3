//! The counters of all meters, under one short lock.
//!
//! The table does no I/O and takes no time of its own. What changes here is written to the journal by the caller,
//! before (settlements) or after (reservations, which the caller takes back when the journal refuses them).

mod index;
mod left;
mod state;
mod table;

use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use tollgate_domain::Timestamp;
use tollgate_domain::access::Need;
use tollgate_domain::accounting::CounterAmount;
pub use tollgate_domain::limits::Verdict;
use tollgate_domain::limits::{Meter, MeterId, MeterKind, ResetDuration, Window};
use tollgate_domain::live::Count;

pub(crate) use table::Table;

/// How many meters a request touches before lists spill to the heap.
pub(crate) const USUAL_METERS: usize = 8;

/// One meter's part of a hold: so much, in the window of its admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) slot: u32,
    /// The number of the cell that it was admitted into. A window that was left and is come back to may have another.
    pub(crate) cell: u32,
    pub(crate) id: MeterId,
    /// `None` for parallel requests, which have no windows.
    pub(crate) duration: Option<ResetDuration>,
    pub(crate) window: Window,
    pub(crate) amount: i64,
}

impl Held {
    /// As the journal keeps it; parallel slots are not kept.
    pub(crate) fn counter(&self) -> Option<CounterAmount> {
        let duration = self.duration?;
        Some(CounterAmount::new(
            self.id.line,
            self.id.kind,
            duration,
            self.window,
            self.amount,
        ))
    }
}

/// The parts of a hold.
pub(crate) type HeldList = SmallVec<[Held; USUAL_METERS]>;
/// Changes of counters, as the journal keeps them.
pub(crate) type Charges = SmallVec<[CounterAmount; USUAL_METERS]>;
/// One count for each need, in its order.
pub type Counts = SmallVec<[Count; USUAL_METERS]>;

/// Usage that moved to another window of the same meter, because an edit moved the lattice of its windows. From a window
/// to itself it says that the lattice came back, and that what is held there from now on stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Move {
    /// Where it was, with the amount taken from there.
    pub(crate) from: CounterAmount,
    /// Where it is now.
    pub(crate) to: Window,
}

/// A meter that did not have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full {
    /// Which of the needs.
    pub(crate) need: usize,
    pub(crate) verdict: Verdict,
    pub(crate) count: Count,
}

/// What an attempt to reserve did.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// The instant it was judged at: never behind an earlier one.
    pub(crate) at: Timestamp,
    /// Usage that moved on the way, whether or not the attempt succeeded.
    pub(crate) moves: SmallVec<[Move; 1]>,
    /// The counts after it, for each need.
    pub(crate) counts: Counts,
    /// The meters in shadow mode that would have refused, in the order of the needs.
    pub(crate) shadowed: SmallVec<[Full; 1]>,
    pub(crate) result: Result<Reserved, Full>,
}

/// What a successful attempt holds.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) held: HeldList,
    /// What an exchange charges to meters that it leaves.
    pub(crate) left: Charges,
}

/// What to charge when a hold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    /// Never dispatched.
    Nothing,
    /// What was consumed.
    Actual { nanos: i64, tokens: i64 },
    /// What was held.
    AsHeld,
}

impl Charge {
    fn of(self, held: &Held) -> i64 {
        match (self, held.id.kind) {
            (Self::Nothing, _) | (_, MeterKind::Parallel) => 0,
            (_, MeterKind::Requests) | (Self::AsHeld, _) => held.amount,
            (Self::Actual { nanos, .. }, MeterKind::Money) => nanos,
            (Self::Actual { tokens, .. }, MeterKind::Tokens) => tokens,
        }
    }
}

/// The table behind its lock.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<Table>);

impl Meters {
    pub(crate) fn new(table: Table) -> Self {
        Self(Mutex::new(table))
    }

    pub(crate) fn reserve(&self, needs: &[Need], now: Timestamp) -> Attempt {
        self.0.lock().reserve(needs, now)
    }

    pub(crate) fn exchange(
        &self,
        old: &HeldList,
        is_dispatched: bool,
        needs: &[Need],
        now: Timestamp,
    ) -> Attempt {
        self.0.lock().exchange(old, is_dispatched, needs, now)
    }

    pub(crate) fn close(
        &self,
        held: &HeldList,
        charge: Charge,
        now: Timestamp,
    ) -> (Timestamp, Charges, Counts) {
        self.0.lock().close(held, charge, now)
    }

    pub(crate) fn advance(&self, now: Timestamp) -> Timestamp {
        self.0.lock().advance(now)
    }

    pub(crate) fn count(&self, meter: &Meter, at: Timestamp) -> Count {
        self.0.lock().count(meter, at)
    }

    pub(crate) fn counts<'a>(
        &self,
        meters: impl Iterator<Item = &'a Arc<Meter>>,
        at: Timestamp,
    ) -> Counts {
        let table = self.0.lock();
        meters.map(|meter| table.count(meter, at)).collect()
    }

    pub(crate) fn touch(&self, meter: &Arc<Meter>, now: Timestamp) -> SmallVec<[Move; 1]> {
        self.0.lock().touch(meter, now)
    }

    pub(crate) fn apply(&self, changes: &[CounterAmount]) {
        self.0.lock().apply(changes);
    }

    pub(crate) fn follow(&self, changes: &mut [CounterAmount]) -> SmallVec<[Move; 1]> {
        self.0.lock().follow(changes)
    }

    /// What the counter that `change` names has settled; `None` when its window does not run.
    pub(crate) fn settled(&self, change: &CounterAmount) -> Option<i64> {
        self.0.lock().settled(change)
    }

    pub(crate) fn running(&self, ids: &[MeterId], now: Timestamp) -> Vec<CounterAmount> {
        self.0.lock().running(ids, now)
    }

    pub(crate) fn size(&self) -> usize {
        self.0.lock().len()
    }
}

/// The meters without a journal, for the benchmark of both apart.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct MetersAlone(Meters);

impl MetersAlone {
    /// Reserves and settles `needs`; whether there was room.
    pub fn pass(&self, needs: &[Need], now: Timestamp) -> bool {
        let attempt = self.0.reserve(needs, now);
        let reserved = attempt.result.ok();
        if let Some(reserved) = &reserved {
            let charge = Charge::Actual {
                nanos: 1,
                tokens: 1,
            };
            self.0.close(&reserved.held, charge, now);
        }
        reserved.is_some()
    }
}
