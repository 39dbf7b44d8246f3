//! The counters of a replay: as the ledger's, for as long as it takes.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use crate::accounting::{LogEntry, Outcome};
use crate::limits::{Meter, MeterId, MeterKind, ResetDuration, WindowKey};
use crate::live::Count;
use crate::money::Usd;
use crate::time::Timestamp;

/// A meter of one duration: an edit that changes that starts another counter.
type Line = (MeterId, Option<ResetDuration>);

/// What a request took in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) cost: Usd,
    tokens: u64,
}

impl Ended {
    /// As the ledger settled it; a request that was refused would have taken what it needed.
    pub(super) fn of(entry: &LogEntry) -> Self {
        let (facts, ending) = (&entry.facts, &entry.ending);
        let (cost, tokens) = match ending.outcome {
            Outcome::Refused => (facts.reserved_cost, facts.reserved_tokens),
            // The cost may have been corrected since.
            Outcome::InDoubt => (ending.cost, facts.reserved_tokens),
            Outcome::Failed => (Usd::ZERO, 0),
            Outcome::Reported | Outcome::Counted => (ending.cost, ending.usage.total()),
        };
        Self { cost, tokens }
    }

    fn of_kind(self, kind: MeterKind) -> i64 {
        match kind {
            MeterKind::Money => self.cost.nanos(),
            MeterKind::Tokens => amount(self.tokens),
            MeterKind::Requests => 1,
            MeterKind::Parallel => 0,
        }
    }
}

/// What the request needed of a meter to be admitted.
pub(super) fn need(meter: &Meter, entry: &LogEntry) -> i64 {
    match meter.id.kind {
        MeterKind::Money => entry.facts.reserved_cost.nanos(),
        MeterKind::Tokens => amount(entry.facts.reserved_tokens),
        MeterKind::Requests | MeterKind::Parallel => 1,
    }
}

fn amount(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

fn line(meter: &Meter) -> Line {
    let duration = meter.window.as_ref().map(|spec| spec.duration);
    (meter.id, duration)
}

fn window(meter: &Meter, at: Timestamp) -> WindowKey {
    // Parallel requests have one window for ever.
    let spec = meter.window.as_ref();
    spec.map_or(WindowKey(0), |spec| spec.window(at).key)
}

/// One meter in the window that was seen last. Time only goes on, so nobody asks for an earlier one.
#[derive(Debug, Clone, Copy)]
struct Cell {
    window: WindowKey,
    count: Count,
}

/// A part of a running request's hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Part {
    line: Line,
    window: WindowKey,
    reserved: i64,
    charged: i64,
}

/// Every meter that was touched, and the requests that run.
#[derive(Debug, Default)]
pub(super) struct Counters {
    cells: HashMap<Line, Cell>,
    running: BinaryHeap<Reverse<(Timestamp, Vec<Part>)>>,
}

impl Counters {
    pub(super) fn count(&self, meter: &Meter, at: Timestamp) -> Count {
        let cell = self.cells.get(&line(meter));
        cell.filter(|cell| cell.window == window(meter, at))
            .map_or_else(Count::default, |cell| cell.count)
    }

    /// Ends every request that had ended by `at`.
    pub(super) fn settle_until(&mut self, at: Timestamp) {
        while let Some(Reverse((ended_at, _))) = self.running.peek()
            && *ended_at <= at
        {
            let Some(Reverse((_, parts))) = self.running.pop() else {
                return;
            };
            for part in parts {
                let cell = self.cells.get_mut(&part.line);
                if let Some(cell) = cell.filter(|cell| cell.window == part.window) {
                    cell.count.reserved = cell.count.reserved.saturating_sub(part.reserved);
                    cell.count.used = cell.count.used.saturating_add(part.charged);
                }
            }
        }
    }

    /// Reserves what the request needed of `meters`, until it ends.
    pub(super) fn admit(&mut self, meters: &[Arc<Meter>], entry: &LogEntry, ended: Ended) {
        let at = entry.facts.at;
        let mut parts: Vec<Part> = Vec::with_capacity(meters.len());
        for meter in meters {
            let (line, window) = (line(meter), window(meter, at));
            if parts.iter().any(|part| part.line == line) {
                continue;
            }
            let reserved = need(meter, entry);
            let fresh = Cell {
                window,
                count: Count::default(),
            };
            let cell = self.cells.entry(line).or_insert(fresh);
            if cell.window != window {
                *cell = fresh;
            }
            cell.count.reserved = cell.count.reserved.saturating_add(reserved);
            parts.push(Part {
                line,
                window,
                reserved,
                charged: ended.of_kind(meter.id.kind),
            });
        }
        self.running.push(Reverse((entry.ending.at, parts)));
    }
}
