//! Opening a ledger: the lock, the journal, and the holds that a death left open.

use std::any::Any;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_domain::accounting::{
    CounterAmount, CounterKey, Ending, LedgerState, OpenHold, Outcome,
};
use tollgate_domain::hash::OwnMap;
use tollgate_domain::ids::RequestId;
use tollgate_domain::{Timestamp, TokenUsage};

use super::fold::Fold;
use super::once::Made;
use super::stats::Tally;
use super::{InDoubt, Ledger};
use crate::books::{Books, Changes};
use crate::config::LedgerConfig;
use crate::error::OpenError;
use crate::fs::FileSystem;
use crate::journal::{Journal, Record, Setup, recover, room_for};
use crate::meters::{Meters, Table};

/// Records after which a replay lets go of what it no longer needs.
const REPLAY_STEP: usize = 10_000;
/// What the client of a request got that was running when the process died: nothing.
const CLIENT_GONE: u16 = 499;

/// Takes the data directory for this process.
pub(crate) fn lock(
    fs: &dyn FileSystem,
    data_dir: &Path,
) -> Result<Box<dyn Any + Send + Sync>, OpenError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked {
            dir: data_dir.to_owned(),
        },
        _ => OpenError::of(data_dir, source),
    };
    fs.create_dir_all(data_dir).map_err(failed)?;
    fs.lock(&data_dir.join("lock")).map_err(failed)
}

impl Ledger {
    pub(crate) fn open_on(
        fs: Arc<dyn FileSystem>,
        config: &LedgerConfig,
        state: LedgerState,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let lock = lock(&*fs, &config.data_dir)?;
        let setup = Setup {
            fs,
            dir: config.data_dir.join("journal"),
            config,
            known: state.journal,
            position: state.position,
            last: state.last_instant.unwrap_or(Timestamp::MIN),
        };
        let failed = |source| OpenError::of(&setup.dir, source);
        let mut replay = Replay::new(&state);
        let resume = recover(&setup, &mut |record| replay.take(record))?;
        replay.commit();
        let started = resume.last.max(now);
        let journal = Arc::new(Journal::resume(resume).map_err(failed)?);

        let returns: Vec<_> = replay.books.returns().collect();
        let mut in_doubt = replay.in_doubt;
        for hold in replay.books.open.into_values() {
            let record = interrupted(&hold, started);
            add(&mut replay.counters, &hold.holds);
            in_doubt.insert(hold.facts.request, InDoubt::of(&hold));
            // The record is an end like any other: what the disk does not take now, it takes later.
            let room = room_for(hold.holds.len());
            if journal.reserve_room(room).is_ok() {
                journal.close(&record, room);
            } else {
                journal.close(&record, 0);
            }
        }
        for moved in returns {
            journal.close(&Record::Move { at: started, moved }, 0);
        }
        let mut table = Table::starting_at(started);
        let counters: Vec<CounterAmount> = replay
            .counters
            .into_values()
            .filter(|counter| counter.end > started && counter.amount != 0)
            .collect();
        table.apply(&counters);

        let syncer = {
            let journal = journal.clone();
            std::thread::Builder::new()
                .name("journal-sync".to_owned())
                .spawn(move || journal.keep_synced())
                .map_err(failed)?
        };
        Ok(Self {
            meters: Meters::new(table),
            fold: Mutex::new(Fold::new(state.position, Books::new(state.open))),
            journal,
            tally: Tally::default(),
            in_doubt: Mutex::new(in_doubt),
            correcting: Mutex::new(replay.made),
            syncer: Some(syncer),
            _lock: lock,
        })
    }
}

/// The end of a hold whose process died.
fn interrupted(hold: &OpenHold, at: Timestamp) -> Record {
    let ending = Ending {
        at,
        outcome: Outcome::InDoubt,
        status: CLIENT_GONE,
        error_code: Some("interrupted".to_owned()),
        usage: TokenUsage::default(),
        cost: hold.facts.reserved_cost,
        duration_micros: u64::try_from(at.micros_since(hold.facts.at)).unwrap_or(0),
        first_byte_micros: None,
        attempts: 1,
    };
    Record::Settle {
        request: hold.facts.request,
        ending,
        charges: hold.holds.clone(),
    }
}

/// What the journal adds to what the database knows.
struct Replay {
    books: Books,
    changes: Changes,
    counters: OwnMap<CounterKey, CounterAmount>,
    in_doubt: OwnMap<RequestId, InDoubt>,
    made: Made,
}

impl Replay {
    fn new(state: &LedgerState) -> Self {
        let mut counters = OwnMap::default();
        add(&mut counters, &state.counters);
        let charged = |hold: &OpenHold| (hold.facts.request, InDoubt::of(hold));
        Self {
            books: Books::new(state.open.clone()),
            changes: Changes::default(),
            counters,
            in_doubt: state.in_doubt.iter().map(charged).collect(),
            made: Made::new(&state.made_once),
        }
    }

    fn take(&mut self, record: Record) {
        self.books.apply(&mut self.changes, record);
        if self.changes.records >= REPLAY_STEP {
            self.commit();
        }
    }

    fn commit(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        for change in changes.counters.values() {
            add(&mut self.counters, std::slice::from_ref(change));
        }
        for (request, hold) in &changes.in_doubt {
            self.in_doubt.insert(*request, InDoubt::of(hold));
        }
        self.made.resets.extend(&changes.resets);
        for (request, _, _) in &changes.resolved {
            self.in_doubt.remove(request);
        }
        for correction in &changes.corrections {
            self.made.add(&correction.note, correction.at);
        }
        self.books.commit(changes);
    }
}

fn add(counters: &mut OwnMap<CounterKey, CounterAmount>, amounts: &[CounterAmount]) {
    for amount in amounts {
        counters
            .entry(amount.key)
            .and_modify(|sum| sum.amount = sum.amount.saturating_add(amount.amount))
            .or_insert(*amount);
    }
}
