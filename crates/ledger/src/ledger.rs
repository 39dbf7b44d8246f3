//! The ledger: meters in memory, the journal on disk, and the steps that keep both the same.

mod fold;
mod live;
mod once;
mod start;
mod stats;

use std::any::Any;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use tollgate_domain::access::Need;
use tollgate_domain::accounting::{
    CounterAmount, Ending, HoldFacts, LedgerState, LogEntry, OpenHold, Outcome, Shadow,
};
use tollgate_domain::error::{LimitRefusal, MeterReading};
use tollgate_domain::hash::OwnMap;
use tollgate_domain::ids::RequestId;
use tollgate_domain::limits::MeterKind;
use tollgate_domain::{Timestamp, Usd};

use crate::config::LedgerConfig;
use crate::error::{OpenError, ReserveError, Unavailable};
use crate::fs::HostFileSystem;
use crate::hold::{Hold, Settlement, ShadowedLimit};
use crate::journal::{ExchangeRoom, Journal, Record, room_for};
use crate::meters::{Attempt, Charge, Counts, Full, HeldList, Meters, Move, Reserved};

pub use live::MeterState;
pub(crate) use start::lock;
pub use stats::LedgerStats;
use stats::Tally;

/// Bytes of the facts in the record of an exchange, at most.
const EXCHANGE_FACTS_BYTES: u32 = 640;

/// The one-node ledger. Shared by all requests; every method takes `&self`.
///
/// The meters are changed first and the journal is written second, except at the end of a hold: a reservation that the
/// journal refuses is taken back, a settlement that it refuses is kept until it does not.
#[derive(Debug)]
pub struct Ledger {
    meters: Meters,
    journal: Arc<Journal>,
    tally: Tally,
    /// Requests charged in doubt that nobody has resolved.
    in_doubt: Mutex<OwnMap<RequestId, InDoubt>>,
    /// What must not be made again. Held by whoever corrects counters, so that what it checked still holds when it is done.
    correcting: Mutex<once::Made>,
    fold: Mutex<fold::Fold>,
    syncer: Option<JoinHandle<()>>,
    _lock: Box<dyn Any + Send + Sync>,
}

/// What a request was charged in doubt.
#[derive(Debug, Clone)]
struct InDoubt {
    cost: Usd,
    /// On which counters of money.
    charges: Vec<CounterAmount>,
}

impl Ledger {
    /// Opens the journal and takes up from where the database is: replays what was not folded, and charges every hold
    /// that was open when the process died at its bound, in doubt.
    ///
    /// # Errors
    /// See [`OpenError`]: another process, a journal that is not this database's, damage, or a failing disk.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the ledger keeps to it for as long as it lives"
    )]
    pub fn open(
        config: LedgerConfig,
        state: LedgerState,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(HostFileSystem), &config, state, now)
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
        self.record_moves(&attempt.moves, at);
        let (reserved, counts, shadowed) = judge(attempt, needs)?;
        facts.at = at;
        facts.shadow = facts.shadow.or(shadow_of(&shadowed));
        let room = room_for(reserved.held.len());
        let record = Record::Open {
            facts,
            holds: kept(&reserved.held),
        };
        if let Err(failure) = self.journal.admit(&record, room) {
            self.meters.close(&reserved.held, Charge::Nothing, now);
            return Err(failure.into());
        }
        let Record::Open { facts, .. } = record else {
            return Err(internal("a record changed its kind"));
        };
        self.tally.opened();
        Ok(Hold {
            facts,
            held: reserved.held,
            counts,
            is_dispatched: false,
            shadowed,
            room,
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
        facts.at = hold.facts.at;
        facts.request = hold.facts.request;
        // The largest that the new hold may get, so that nothing has to be undone for want of disk space.
        let room = ExchangeRoom {
            record: room_for(needs.len() + hold.held.len()) + EXCHANGE_FACTS_BYTES,
            end: room_for(needs.len()),
        };
        self.journal.prepare_exchange(room)?;
        let attempt = self
            .meters
            .exchange(&hold.held, hold.is_dispatched, needs, now);
        self.record_moves(&attempt.moves, attempt.at);
        let judged = judge(attempt, needs);
        let (reserved, counts, shadowed) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                self.journal.return_room(room.record + room.end);
                return Err(error);
            }
        };
        let shadowed = with_carried(shadowed, std::mem::take(&mut hold.shadowed), needs);
        facts.shadow = facts.shadow.or(shadow_of(&shadowed));
        let record = Record::Exchange {
            facts,
            holds: kept(&reserved.held),
            left: reserved.left.to_vec(),
        };
        // The exchange has happened; like an end, its record is kept until the disk takes it.
        self.journal.close(&record, room.record + hold.room);
        if let Record::Exchange { facts, .. } = record {
            hold.facts = facts;
        }
        hold.held = reserved.held;
        hold.counts = counts;
        hold.shadowed = shadowed;
        hold.room = room.end;
        Ok(())
    }

    /// Ends a hold whose request was dispatched, and charges it.
    ///
    /// [`Outcome::InDoubt`] charges what was held, whatever `ending.cost` says; [`Outcome::Failed`] charges nothing but
    /// the request count. The end of the answer has to wait for [`Settlement::written`].
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a hold ends once: taking it is the point"
    )]
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
        let (at, charges, counts) = self.meters.close(&hold.held, charge, ending.at);
        ending.at = at;
        let (cost, outcome) = (ending.cost, ending.outcome);
        let charged = (outcome == Outcome::InDoubt).then(|| InDoubt::new(cost, &charges));
        let record = Record::Settle {
            request: hold.facts.request,
            ending,
            charges: charges.into_vec(),
        };
        let written = self.journal.close(&record, hold.room);
        if let Some(charged) = charged {
            // Now, that no correction is written before what it corrects.
            self.in_doubt.lock().insert(hold.facts.request, charged);
        }
        self.tally.closed(outcome);
        Settlement {
            cost,
            counts,
            written,
        }
    }

    /// Ends a hold whose request was never dispatched: nothing is charged, and no log row is made.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a hold ends once: taking it is the point"
    )]
    pub fn release(&self, hold: Hold, now: Timestamp) {
        let (at, _, _) = self.meters.close(&hold.held, Charge::Nothing, now);
        let request = hold.facts.request;
        self.journal
            .close(&Record::Release { request, at }, hold.room);
        self.tally.released();
    }

    /// Records a request that was refused, for the request log. It holds and costs nothing.
    ///
    /// # Errors
    /// When the journal takes no writes: the row is lost then, which costs nobody anything.
    pub fn refuse(&self, mut entry: LogEntry) -> Result<(), Unavailable> {
        entry.ending.at = self.meters.advance(entry.ending.at);
        self.journal.admit(&Record::Refuse(Box::new(entry)), 0)?;
        self.tally.refused();
        Ok(())
    }

    /// Whether holds are admitted: not after a write or sync that failed, until the disk takes writes again.
    pub fn is_available(&self) -> bool {
        self.journal.is_available()
    }

    /// Waits until everything that was written is on disk.
    ///
    /// # Errors
    /// When the sync fails; the ledger admits nothing from then on.
    pub fn sync(&self) -> Result<(), Unavailable> {
        self.journal.sync()
    }

    /// Usage that followed an edited line. A move that the disk does not take is not made good: the next start finds
    /// the usage where it was, and moves it again.
    fn record_moves(&self, moves: &[Move], at: Timestamp) {
        for moved in moves {
            self.journal.close(&Record::Move { at, moved: *moved }, 0);
        }
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        self.journal.stop();
        if let Some(syncer) = self.syncer.take() {
            // A thread that panicked has said so.
            let _ = syncer.join();
        }
        // Nobody is left to tell; the next start reads what was written all the same.
        let _ = self.journal.sync();
    }
}

fn kept(held: &HeldList) -> Vec<CounterAmount> {
    let mut counters = Vec::with_capacity(held.len());
    counters.extend(held.iter().filter_map(crate::meters::Held::counter));
    counters
}

impl InDoubt {
    /// `charges` may count other things as well, which nobody corrects.
    fn new(cost: Usd, charges: &[CounterAmount]) -> Self {
        let is_money = |charge: &&CounterAmount| charge.key.kind == MeterKind::Money;
        Self {
            cost,
            charges: charges.iter().filter(is_money).copied().collect(),
        }
    }

    fn of(hold: &OpenHold) -> Self {
        Self::new(hold.facts.reserved_cost, &hold.holds)
    }
}

fn internal(reason: &str) -> ReserveError {
    ReserveError::Unavailable(Unavailable {
        reason: reason.to_owned(),
    })
}

/// What an attempt got, the counts it saw, and what was full in shadow mode.
type Judged = (Reserved, Counts, Vec<ShadowedLimit>);

fn shadow_of(shadowed: &[ShadowedLimit]) -> Option<Shadow> {
    let first = shadowed.first()?;
    Some(Shadow::of_limit(first.limit, first.refusal.is_transient))
}

/// What was full before an exchange, and what is since, in the order of the needs. What a limit in shadow mode did not
/// refuse at admission is judged no more where it goes on, and stays true.
fn with_carried(
    mut shadowed: Vec<ShadowedLimit>,
    before: Vec<ShadowedLimit>,
    needs: &[Need],
) -> Vec<ShadowedLimit> {
    let is_carried = |full: &ShadowedLimit| needs.iter().any(|need| full.is_carried_by(need));
    shadowed.extend(before.into_iter().filter(is_carried));
    shadowed.sort_by_key(|full| needs.iter().position(|need| need.meter.id == full.limit));
    shadowed
}

fn judge(attempt: Attempt, needs: &[Need]) -> Result<Judged, ReserveError> {
    let at = attempt.at;
    let limit_of = |full: &Full| {
        Some(ShadowedLimit {
            limit: needs.get(full.need)?.meter.id,
            refusal: *refusal(full, needs, at)?,
        })
    };
    let shadowed = attempt.shadowed.iter().filter_map(limit_of).collect();
    match attempt.result {
        Ok(reserved) => Ok((reserved, attempt.counts, shadowed)),
        Err(full) => Err(match refusal(&full, needs, at) {
            Some(refusal) => ReserveError::Full(refusal),
            None => internal("a refusal names no meter"),
        }),
    }
}

fn refusal(full: &Full, needs: &[Need], at: Timestamp) -> Option<Box<LimitRefusal>> {
    let need = needs.get(full.need)?;
    Some(Box::new(LimitRefusal {
        kind: need.meter.id.kind,
        reading: MeterReading::new(&need.meter, at, full.count.used, full.count.reserved),
        needed: need.amount,
        is_transient: full.verdict.is_transient(),
        largest_output_that_fits: None,
    }))
}
