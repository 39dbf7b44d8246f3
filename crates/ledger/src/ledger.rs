//! The ledger: meters in memory, the journal on disk, and the steps that keep both the same.

mod live;
mod stats;

use parking_lot::Mutex;
use tollgate_domain::access::Need;
use tollgate_domain::accounting::{
    Ending, FoldBatch, HoldFacts, JournalPosition, LedgerState, LogEntry, OpenHold, Outcome,
};
use tollgate_domain::error::{LimitRefusal, MeterReading};
use tollgate_domain::ids::RequestId;
use tollgate_domain::limits::MeterKind;
use tollgate_domain::{Timestamp, Usd};

use crate::config::LedgerConfig;
use crate::error::{OpenError, ReadError, ReserveError, Unavailable};
use crate::hold::{Hold, Settlement};
use crate::journal::Written;
use crate::meters::{Attempt, Charge, Full, Meters, Reserved, Table};

pub use live::MeterState;
pub use stats::LedgerStats;
use stats::Tally;

/// The one-node ledger. Shared by all requests; every method takes `&self`.
#[derive(Debug)]
pub struct Ledger {
    meters: Meters,
    tally: Tally,
    in_doubt: Mutex<std::collections::HashMap<RequestId, OpenHold>>,
}

impl Ledger {
    /// Opens the journal and takes up from where the database is: replays what was not folded, and charges every hold
    /// that was open when the process died at its bound, in doubt.
    ///
    /// # Errors
    /// See [`OpenError`]: another process, a journal that is not this database's, damage, or a failing disk.
    pub fn open(
        _config: LedgerConfig,
        state: LedgerState,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let start = state.last_instant.unwrap_or_default().max(now);
        let mut table = Table::starting_at(start);
        table.apply(&state.counters);
        Ok(Self {
            meters: Meters::new(table),
            tally: Tally::default(),
            in_doubt: Mutex::default(),
        })
    }

    /// Reserves `needs`, all or none, in their order.
    ///
    /// `facts.at` becomes the instant of admission, which never runs behind an earlier one.
    ///
    /// # Errors
    /// [`ReserveError::Full`] names the first meter that has no room; [`ReserveError::Unavailable`] when the journal
    /// takes no writes. Nothing is held then.
    pub fn reserve(
        &self,
        mut facts: HoldFacts,
        needs: &[Need],
        now: Timestamp,
    ) -> Result<Hold, ReserveError> {
        let attempt = self.meters.reserve(needs, now);
        let at = attempt.at;
        let (reserved, counts, shadowed) = judge(attempt, needs)?;
        facts.at = at;
        self.tally.opened();
        Ok(Hold {
            facts,
            held: reserved.held,
            counts,
            is_dispatched: false,
            shadowed,
            room: 0,
        })
    }

    /// Replaces what `hold` holds by `needs` in one step, for a retry or a fallback. The request count and the parallel
    /// slot of meters that both touch carry over; where a dispatched request is left, it stays counted.
    ///
    /// # Errors
    /// As [`Ledger::reserve`]; `hold` is as it was then.
    pub fn exchange(
        &self,
        hold: &mut Hold,
        mut facts: HoldFacts,
        needs: &[Need],
        now: Timestamp,
    ) -> Result<(), ReserveError> {
        let attempt = self
            .meters
            .exchange(&hold.held, hold.is_dispatched, needs, now);
        let (reserved, counts, shadowed) = judge(attempt, needs)?;
        facts.at = hold.facts.at;
        facts.request = hold.facts.request;
        hold.facts = facts;
        hold.held = reserved.held;
        hold.counts = counts;
        hold.shadowed = shadowed;
        Ok(())
    }

    /// Ends a hold whose request was dispatched, and charges it.
    ///
    /// [`Outcome::InDoubt`] charges what was held, whatever `ending.cost` says; [`Outcome::Failed`] charges nothing but
    /// the request count. The end of the answer has to wait for [`Settlement::written`].
    pub fn settle(&self, hold: Hold, mut ending: Ending) -> Settlement {
        let charge = match ending.outcome {
            Outcome::InDoubt => {
                ending.cost = hold.facts.reserved_cost;
                Charge::AsHeld
            }
            Outcome::Failed | Outcome::Refused => {
                ending.cost = Usd::ZERO;
                Charge::Actual {
                    nanos: 0,
                    tokens: 0,
                }
            }
            Outcome::Reported | Outcome::Counted => Charge::Actual {
                nanos: ending.cost.nanos(),
                tokens: i64::try_from(ending.usage.total()).unwrap_or(i64::MAX),
            },
        };
        let (at, _charges, counts) = self.meters.close(&hold.held, charge, ending.at);
        ending.at = at;
        self.tally.closed(ending.outcome);
        Settlement {
            cost: ending.cost,
            counts,
            written: Written::done(),
        }
    }

    /// Ends a hold whose request was never dispatched: nothing is charged, and no log row is made.
    pub fn release(&self, hold: Hold, now: Timestamp) {
        self.meters.close(&hold.held, Charge::Nothing, now);
        self.tally.released();
    }

    /// Records a request that was refused, for the request log. It holds and costs nothing.
    ///
    /// # Errors
    /// When the journal takes no writes: the row is lost then, which costs nobody anything.
    pub fn refuse(&self, _entry: LogEntry) -> Result<(), Unavailable> {
        self.tally.refused();
        Ok(())
    }

    /// What the journal says after `from`, up to about `limit` records, once it is on disk; `None` when there is nothing
    /// new. The next call goes on from [`FoldBatch::to`]; asking again from the same position gives the same piece.
    ///
    /// Blocks on the disk: call it from a thread that may.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read_batch(
        &self,
        _from: JournalPosition,
        _limit: usize,
    ) -> Result<Option<FoldBatch>, ReadError> {
        Ok(None)
    }

    /// Says that the database holds, durably, everything before `position`: segments that only hold older records are
    /// deleted.
    pub fn folded(&self, _position: JournalPosition) {}

    /// Whether holds are admitted: not after a write or sync that failed, until the disk takes writes again.
    pub fn is_available(&self) -> bool {
        true
    }

    /// Waits until everything that was written is on disk.
    ///
    /// # Errors
    /// When the sync fails; the ledger admits nothing from then on.
    pub fn sync(&self) -> Result<(), Unavailable> {
        Ok(())
    }
}

type Judged = (Reserved, crate::meters::Counts, Option<Box<LimitRefusal>>);

fn judge(attempt: Attempt, needs: &[Need]) -> Result<Judged, ReserveError> {
    let at = attempt.at;
    let shadowed = attempt.shadowed.and_then(|full| refusal(&full, needs, at));
    match attempt.result {
        Ok(reserved) => Ok((reserved, attempt.counts, shadowed)),
        Err(full) => match refusal(&full, needs, at) {
            Some(refusal) => Err(ReserveError::Full(refusal)),
            None => Err(ReserveError::Unavailable(Unavailable {
                reason: "a refusal names no meter".to_owned(),
            })),
        },
    }
}

fn refusal(full: &Full, needs: &[Need], at: Timestamp) -> Option<Box<LimitRefusal>> {
    let need = needs.get(full.need)?;
    let kind: MeterKind = need.meter.id.kind;
    Some(Box::new(LimitRefusal {
        kind,
        reading: MeterReading::new(&need.meter, at, full.count.used, full.count.reserved),
        needed: need.amount,
        is_transient: full.verdict.is_transient(),
        largest_output_that_fits: None,
    }))
}
