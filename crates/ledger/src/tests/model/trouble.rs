//! What goes wrong: folds that do not come to their end, disks that fail, deaths, and journals that lose what was written
//! last.

use std::path::PathBuf;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{JournalPosition, Outcome};
use tollgate_domain::limits::MeterKind;

use super::super::kit::*;
use super::naive::Model;
use super::{Run, small_segments};
use crate::ReserveError;
use crate::fs::memory::{Faults, MemoryFileSystem};

/// Shorter than any record: a cut so many bytes behind one tears the next.
pub(super) const TORN_BYTES: usize = 12;

/// The model after each step, with the end of the journal then.
#[derive(Default)]
pub(super) struct History {
    moments: Vec<(JournalPosition, Model)>,
    end: JournalPosition,
    /// The latest instant that the journal knows.
    journaled: Option<Timestamp>,
}

impl History {
    /// No cut goes back behind this moment.
    pub(super) fn forget(&mut self) {
        self.moments.clear();
    }
}

/// Where the journal ends on this disk.
fn end_of(disk: &MemoryFileSystem) -> JournalPosition {
    let paths = disk.paths();
    let is_segment = |path: &&PathBuf| path.extension() == Some("journal".as_ref());
    let last = paths.iter().filter(is_segment).max().expect("a segment");
    let number = last.file_stem().and_then(|stem| stem.to_str()).unwrap();
    JournalPosition {
        segment: number.parse().unwrap(),
        offset: disk.get(last).len() as u64,
    }
}

impl Run {
    /// Call after each step.
    pub(super) fn remember(&mut self) {
        let end = end_of(&self.disk);
        if end != self.history.end {
            self.history.end = end;
            self.history.journaled = Some(self.model.last);
        }
        self.history.moments.push((end, self.model.clone()));
    }

    pub(super) fn fold(&mut self, limit: usize) {
        let mut database = std::mem::take(&mut self.database);
        database.fold(self.ledger(), limit);
        self.database = database;
        // It may have written down how far the disk is, which is no news.
        self.history.end = end_of(&self.disk);
    }

    /// One piece goes to the database, which takes it and dies before it can say so, or does not take it.
    pub(super) fn half_fold(&mut self, limit: usize, is_taken: bool) {
        let position = self.database.state.position;
        let batch = self.ledger().read_batch(position, limit).unwrap();
        self.history.end = end_of(&self.disk);
        if let Some(batch) = batch
            && is_taken
        {
            self.database.apply(batch);
        }
    }

    /// The record of the hold does not get onto the disk: nothing has happened. Unless it was the header of a new segment
    /// that stopped short: then the old one grows.
    pub(super) fn reserve_on_a_failing_disk(&mut self, lines: &[bool], amount: i64, bytes: usize) {
        let at = self.model.tick();
        let wanted = self.wanted(lines, amount, at);
        self.disk.set_faults(Faults {
            short_write: Some(bytes),
            ..Faults::default()
        });
        let result = self.try_reserve(&wanted, amount, true);
        self.disk.set_faults(Faults::default());
        let fits = self.model.fits(&self.lines, &wanted, at);
        match result {
            Err(ReserveError::Unavailable(_)) => assert!(fits),
            result => self.reserved(result, fits, wanted, amount),
        }
    }

    /// The end of a hold is written once the disk takes it.
    pub(super) fn settle_on_a_failing_disk(&mut self, hold: usize, cost: i64) {
        if self.holds.is_empty() {
            return;
        }
        self.disk.set_faults(Faults {
            fails_writes: true,
            ..Faults::default()
        });
        self.settle(hold, cost, Outcome::Reported, false);
        assert!(!self.ledger().is_available());
        self.disk.set_faults(Faults::default());
        self.ledger().sync().unwrap();
        assert!(self.ledger().is_available());
    }

    /// The process dies and comes back: open holds are charged at their bound, parallel slots are free. With
    /// `loses_an_end` the disk had not taken the end of a hold, which therefore counts as open.
    pub(super) fn die(&mut self, loses_an_end: bool) {
        if loses_an_end && let Some(hold) = self.holds.pop() {
            self.disk.set_faults(Faults {
                fails_writes: true,
                ..Faults::default()
            });
            let settled = self.ledger().settle(hold, answered(1, self.model.now));
            assert!(!settled.written.is_done());
        }
        self.kill_ledger();
        self.come_back();
    }

    /// The machine dies, and the journal loses what was written last: everything is as it was then. What the database
    /// has taken is never lost, since the journal is on the disk before the database takes it.
    pub(super) fn cut(&mut self, back: usize, torn: usize) {
        self.kill_ledger();
        let folded = self.database.state.position;
        let moments = &self.history.moments;
        let moment = moments.iter().rev().nth(back);
        if let Some((end, then)) = moment.filter(|(end, _)| *end >= folded) {
            let now = self.model.now;
            self.model = Model {
                now,
                ..then.clone()
            };
            cut_behind(&self.disk, *end, torn);
            self.history.journaled = None;
        }
        self.come_back();
    }

    fn kill_ledger(&mut self) {
        if let Some(ledger) = self.ledger.take() {
            self.disk = kill(ledger, &self.disk);
        }
    }

    fn come_back(&mut self) {
        // What was refused or only looked at left no trace, and neither did its instant.
        self.model.last = self
            .history
            .journaled
            .unwrap_or(self.model.last)
            .max(noon());
        self.holds.clear();
        for hold in std::mem::take(&mut self.model.holds) {
            let mut charged = Vec::new();
            for (cell, amount) in hold.parts {
                let kind = self.lines[cell.0].id.kind;
                if kind == MeterKind::Parallel {
                    continue;
                }
                self.model.charge(cell, amount);
                if kind == MeterKind::Money {
                    charged.push((cell.0, self.windows[&cell], amount));
                }
            }
            self.model.logged += hold.bound;
            self.model.in_doubt.insert(hold.number, charged);
        }
        let state = self.database.state();
        self.ledger = Some(open_with(&self.disk, &small_segments(), state).unwrap());
        self.history.forget();
    }
}

/// Cuts the journal so many bytes behind `end`, at most.
fn cut_behind(disk: &MemoryFileSystem, end: JournalPosition, torn: usize) {
    for path in disk.paths() {
        if path.extension() != Some("journal".as_ref()) {
            continue;
        }
        let number = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        let number: u64 = number.parse().unwrap();
        if number > end.segment {
            crate::fs::FileSystem::remove(disk, &path).unwrap();
        } else if number == end.segment {
            let bytes = disk.get(&path);
            let kept = usize::try_from(end.offset).unwrap() + torn;
            disk.put(&path, &bytes[..kept.min(bytes.len())]);
        }
    }
}
