//! What the records of the journal add up to: for the start, which brings the meters up to date, and for the fold, which
//! brings the database up to date.

use tollgate_domain::accounting::{
    Corrected, Correction, CounterAmount, CounterKey, HoldFacts, LogEntry, OpenHold, Outcome,
};
use tollgate_domain::hash::OwnMap;
use tollgate_domain::ids::{RequestId, ResetId};
use tollgate_domain::limits::Window;
use tollgate_domain::{Timestamp, Usd};

use crate::journal::Record;
use crate::meters::Move;

/// Holds that are open at one place of the journal, and where edited lines went.
#[derive(Debug, Default)]
pub(crate) struct Books {
    pub(crate) open: OwnMap<RequestId, OpenHold>,
    moved: OwnMap<CounterKey, Move>,
}

/// What a piece of the journal changes.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// `None`: no longer open.
    pub(crate) holds: OwnMap<RequestId, Option<OpenHold>>,
    pub(crate) counters: OwnMap<CounterKey, CounterAmount>,
    pub(crate) log: Vec<LogEntry>,
    pub(crate) resolved: Vec<(RequestId, Usd, Timestamp)>,
    pub(crate) corrections: Vec<Correction>,
    pub(crate) resets: Vec<ResetId>,
    pub(crate) in_doubt: OwnMap<RequestId, OpenHold>,
    /// `None`: the lattice came back, so what names the window is right again.
    moved: OwnMap<CounterKey, Option<Move>>,
    pub(crate) last: Option<Timestamp>,
    pub(crate) records: usize,
    /// Of those, the ones that say nothing to the database.
    pub(crate) watermarks: usize,
}

impl Books {
    pub(crate) fn new(open: Vec<OpenHold>) -> Self {
        let named = |hold: OpenHold| (hold.facts.request, hold);
        Self {
            open: open.into_iter().map(named).collect(),
            moved: OwnMap::default(),
        }
    }

    /// Takes the changes of a piece over.
    pub(crate) fn commit(&mut self, changes: Changes) {
        for (request, hold) in changes.holds {
            match hold {
                Some(hold) => self.open.insert(request, hold),
                None => self.open.remove(&request),
            };
        }
        for (from, to) in changes.moved {
            match to {
                Some(to) => self.moved.insert(from, to),
                None => self.moved.remove(&from),
            };
        }
        if let Some(last) = changes.last {
            // Nothing is admitted into a window that has ended.
            self.moved.retain(|_, moved| moved.to.end > last);
        }
    }

    /// What a new process has to say, since it knows of no window that was left: what is held in one from now on stays
    /// there.
    pub(crate) fn returns(&self) -> impl Iterator<Item = Move> {
        self.moved.values().map(|moved| Move {
            from: CounterAmount {
                amount: 0,
                ..moved.from
            },
            to: Window {
                key: moved.from.key.window,
                start: moved.from.start,
                end: moved.from.end,
            },
        })
    }

    /// Adds one record to `changes`.
    pub(crate) fn apply(&self, changes: &mut Changes, record: Record) {
        if !matches!(record, Record::Skip(_)) {
            let at = record.at();
            changes.last = Some(changes.last.map_or(at, |last| last.max(at)));
        }
        changes.records += 1;
        match record {
            Record::Open { facts, holds } => self.open(changes, facts, holds),
            Record::Exchange { facts, holds, left } => {
                changes.add(&left);
                self.open(changes, facts, holds);
            }
            Record::Settle {
                request,
                ending,
                charges,
            } => {
                changes.add(&charges);
                // Without its beginning (a repaired journal) an end has no row; its charge counts all the same.
                let Some(hold) = self.take(changes, request) else {
                    return;
                };
                if ending.outcome == Outcome::InDoubt {
                    let charged = OpenHold {
                        facts: hold.facts.clone(),
                        holds: charges,
                    };
                    changes.in_doubt.insert(request, charged);
                }
                changes.log.push(LogEntry {
                    facts: hold.facts,
                    ending,
                });
            }
            Record::Release { request, .. } => {
                self.take(changes, request);
            }
            Record::Refuse(entry) => changes.log.push(*entry),
            Record::Adjust {
                at,
                changes: by,
                noted,
            } => {
                changes.add(&by);
                if let (Some(noted), Some(change)) = (noted, by.first()) {
                    changes.corrections.push(Correction {
                        at,
                        note: noted.note,
                        of: Corrected::Budget(*change),
                        before: noted.before,
                        after: noted.before.saturating_add(Usd::from_nanos(change.amount)),
                    });
                }
            }
            Record::Resolve {
                at,
                request,
                amount,
                changes: by,
                noted,
            } => {
                changes.add(&by);
                if let Some(noted) = noted {
                    changes.corrections.push(Correction {
                        at,
                        note: noted.note,
                        of: Corrected::InDoubt(request),
                        before: noted.before,
                        after: amount,
                    });
                }
                changes.in_doubt.remove(&request);
                changes.resolved.push((request, amount, at));
            }
            Record::Reset {
                id, changes: by, ..
            } => {
                changes.add(&by);
                changes.resets.push(id);
            }
            Record::Move { moved, .. } => self.follow(changes, &moved),
            Record::Watermark { .. } | Record::Skip(_) => changes.watermarks += 1,
        }
    }

    fn open(&self, changes: &mut Changes, facts: HoldFacts, mut holds: Vec<CounterAmount>) {
        for hold in &mut holds {
            // Its window may have moved between the reservation and this record, more than once. Moves never lead back:
            // one to a window ends the one that left it.
            while let Some(moved) = self.moved(changes, hold.key) {
                relocate(hold, moved.to);
            }
        }
        let request = facts.request;
        changes
            .holds
            .insert(request, Some(OpenHold { facts, holds }));
    }

    /// Where the usage of a window that was left went.
    fn moved(&self, changes: &Changes, key: CounterKey) -> Option<Move> {
        match changes.moved.get(&key) {
            Some(moved) => *moved,
            None => self.moved.get(&key).copied(),
        }
    }

    fn take(&self, changes: &mut Changes, request: RequestId) -> Option<OpenHold> {
        match changes.holds.insert(request, None) {
            Some(hold) => hold,
            None => self.open.get(&request).cloned(),
        }
    }

    /// Open holds follow the line that they are on.
    fn follow(&self, changes: &mut Changes, moved: &Move) {
        let mut taken = moved.from;
        taken.amount = taken.amount.saturating_neg();
        let mut given = moved.from;
        relocate(&mut given, moved.to);
        changes.add(&[taken, given]);
        changes.moved.insert(moved.from.key, Some(*moved));
        changes.moved.insert(given.key, None);
        let is_there = |hold: &OpenHold| hold.holds.iter().any(|held| held.key == moved.from.key);
        for (request, hold) in &self.open {
            if is_there(hold) {
                changes
                    .holds
                    .entry(*request)
                    .or_insert_with(|| Some(hold.clone()));
            }
        }
        for held in changes
            .holds
            .values_mut()
            .flatten()
            .flat_map(|hold| &mut hold.holds)
            .filter(|held| held.key == moved.from.key)
        {
            relocate(held, moved.to);
        }
    }
}

fn relocate(counter: &mut CounterAmount, to: Window) {
    counter.key.window = to.key;
    counter.start = to.start;
    counter.end = to.end;
}

impl Changes {
    fn add(&mut self, amounts: &[CounterAmount]) {
        for amount in amounts {
            self.counters
                .entry(amount.key)
                .and_modify(|sum| sum.amount = sum.amount.saturating_add(amount.amount))
                .or_insert(*amount);
        }
    }
}
