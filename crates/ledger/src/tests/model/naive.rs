//! Everything, the obvious way.

use std::collections::BTreeMap;
use std::sync::Arc;

use tollgate_domain::Timestamp;
use tollgate_domain::limits::{Meter, Window, WindowKey};

pub(super) type Cell = (usize, WindowKey);

/// A hold of the model: amounts by cell.
#[derive(Debug, Clone)]
pub(super) struct ModelHold {
    pub(super) number: usize,
    pub(super) parts: Vec<(Cell, i64)>,
    pub(super) bound: i64,
    pub(super) is_dispatched: bool,
}

/// Everything, the obvious way.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) settled: BTreeMap<Cell, i64>,
    pub(super) holds: Vec<ModelHold>,
    /// By request: the lines and windows that were charged.
    pub(super) in_doubt: BTreeMap<usize, Vec<(usize, Window, i64)>>,
    pub(super) logged: i64,
    pub(super) now: Timestamp,
    pub(super) last: Timestamp,
}

impl Model {
    pub(super) fn reserved(&self, cell: Cell) -> i64 {
        let parts = self.holds.iter().flat_map(|hold| &hold.parts);
        parts
            .filter(|(at, _)| *at == cell)
            .map(|(_, amount)| amount)
            .sum()
    }

    pub(super) fn used(&self, cell: Cell) -> i64 {
        self.settled.get(&cell).copied().unwrap_or(0)
    }

    pub(super) fn charge(&mut self, cell: Cell, amount: i64) {
        *self.settled.entry(cell).or_default() += amount;
    }

    /// Time as the ledger lets it run.
    pub(super) fn tick(&mut self) -> Timestamp {
        self.last = self.last.max(self.now);
        self.last
    }

    /// An edit takes everything of the running window along.
    pub(super) fn relocate(&mut self, from: Cell, to: Cell) {
        if from == to {
            return;
        }
        let settled = self.settled.remove(&from).unwrap_or(0);
        self.charge(to, settled);
        for (cell, _) in self.holds.iter_mut().flat_map(|hold| &mut hold.parts) {
            if *cell == from {
                *cell = to;
            }
        }
    }

    /// Whether each of `wanted` fits; `carried` do not need to.
    pub(super) fn fits(&self, lines: &[Arc<Meter>], wanted: &[(Cell, i64)], at: Timestamp) -> bool {
        wanted.iter().all(|(cell, amount)| {
            let limit = lines[cell.0].effective_limit(at);
            let used = self.used(*cell);
            used < limit && used + amount + self.reserved(*cell) <= limit
        })
    }
}
