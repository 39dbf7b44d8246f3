//! One meter's counts, window by window.

use std::sync::Arc;

use smallvec::SmallVec;
use tollgate_domain::Timestamp;
use tollgate_domain::limits::{Meter, MeterId, ResetDuration, Window, WindowKey};
use tollgate_domain::live::Count;

/// The counts of one window.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) window: Window,
    pub(super) settled: i64,
    pub(super) reserved: i64,
    /// Open holds whose admission was in this window.
    pub(super) holds: u32,
    /// Set when an edit moved the lattice: everything here counts there now.
    pub(super) moved_to: Option<WindowKey>,
}

impl Cell {
    pub(super) const fn new(window: Window) -> Self {
        Self {
            window,
            settled: 0,
            reserved: 0,
            holds: 0,
            moved_to: None,
        }
    }

    pub(super) const fn count(&self) -> Count {
        Count {
            used: self.settled,
            reserved: self.reserved,
        }
    }
}

/// One meter of one duration.
#[derive(Debug)]
pub(super) struct State {
    pub(super) id: MeterId,
    pub(super) duration: Option<ResetDuration>,
    /// The line as it was last seen: while it is the same, its running window needs no computing.
    seen: Option<Arc<Meter>>,
    running: usize,
    pub(super) cells: SmallVec<[Cell; 2]>,
}

/// The one window of parallel requests.
pub(super) const ALWAYS: Window = Window {
    key: WindowKey(0),
    start: Timestamp::MIN,
    end: Timestamp::MAX,
};

/// The window of `meter` that `at` lies in.
pub(super) fn window_of(meter: &Meter, at: Timestamp) -> Window {
    meter.window.as_ref().map_or(ALWAYS, |spec| spec.window(at))
}

impl State {
    pub(super) fn new(id: MeterId, duration: Option<ResetDuration>) -> Self {
        Self {
            id,
            duration,
            seen: None,
            running: 0,
            cells: SmallVec::new(),
        }
    }

    /// The cell of the window that `at` lies in. Windows of an older lattice that `at` lies in as well are emptied into
    /// it; `moved` is told of each.
    #[inline]
    pub(super) fn running(
        &mut self,
        meter: &Arc<Meter>,
        at: Timestamp,
        moved: impl FnMut(Window, Window, i64),
    ) -> usize {
        let is_fresh = self
            .seen
            .as_ref()
            .is_some_and(|seen| Arc::ptr_eq(seen, meter))
            && self
                .cells
                .get(self.running)
                .is_some_and(|cell| cell.window.contains(at));
        if !is_fresh {
            self.find_running(meter, at, moved);
        }
        self.running
    }

    #[cold]
    fn find_running(
        &mut self,
        meter: &Arc<Meter>,
        at: Timestamp,
        mut moved: impl FnMut(Window, Window, i64),
    ) {
        let window = window_of(meter, at);
        let seen = self.seen.as_ref().map(|seen| window_of(seen, at));
        // An edit that finds nothing to take along has to be told as well: whoever reads of the edit before it would send
        // what is held from now on after the usage of then.
        let mut untold = seen.filter(|seen| seen.key != window.key);
        self.drop_idle(at);
        let running = self.cell_or_new(window);
        // An edit may have brought the lattice back to a window that had been left.
        self.cells[running].moved_to = None;
        self.cells[running].window = window;
        for other in 0..self.cells.len() {
            let cell = &mut self.cells[other];
            if other == running || cell.moved_to.is_some() || !cell.window.contains(at) {
                continue;
            }
            let (settled, reserved) = (cell.settled, cell.reserved);
            let from = cell.window;
            cell.settled = 0;
            cell.reserved = 0;
            cell.moved_to = Some(window.key);
            let into = &mut self.cells[running];
            into.settled = into.settled.saturating_add(settled);
            into.reserved = into.reserved.saturating_add(reserved);
            moved(from, window, settled);
            untold = untold.filter(|seen| seen.key != from.key);
            // One step from any window that was left to where it counts: nothing in between has to be kept.
            for cell in &mut self.cells {
                if cell.moved_to == Some(from.key) {
                    cell.moved_to = Some(window.key);
                }
            }
        }
        if let Some(seen) = untold {
            moved(seen, window, 0);
        }
        self.running = running;
        self.seen = Some(meter.clone());
    }

    /// The counts of the window of `meter` that `at` lies in, as [`State::running`] would find them.
    pub(super) fn peek(&self, meter: &Meter, at: Timestamp) -> Count {
        let window = window_of(meter, at);
        let mut sum = Count::default();
        for cell in &self.cells {
            if cell.moved_to.is_none()
                && (cell.window.key == window.key || cell.window.contains(at))
            {
                sum.used = sum.used.saturating_add(cell.settled);
                sum.reserved = sum.reserved.saturating_add(cell.reserved);
            }
        }
        sum
    }

    /// The window around `at` that usage is in.
    pub(super) fn counted_at(&self, at: Timestamp) -> Option<Window> {
        let mut windows = self.cells.iter();
        windows
            .find(|cell| cell.moved_to.is_none() && cell.window.contains(at))
            .map(|cell| cell.window)
    }

    /// Where `key` is counted now.
    pub(super) fn resolve(&self, key: WindowKey) -> Option<usize> {
        let own = self.position(key)?;
        match self.cells[own].moved_to {
            Some(next) => self.position(next),
            None => Some(own),
        }
    }

    /// The line as it was last seen by a request, if one has been.
    pub(super) fn seen(&self) -> Option<Arc<Meter>> {
        self.seen.clone()
    }

    pub(super) fn position(&self, key: WindowKey) -> Option<usize> {
        self.cells.iter().position(|cell| cell.window.key == key)
    }

    pub(super) fn cell_or_new(&mut self, window: Window) -> usize {
        self.position(window.key).unwrap_or_else(|| {
            self.cells.push(Cell::new(window));
            self.cells.len() - 1
        })
    }

    /// Forgets windows that have ended (or hold nothing at all) and that no open hold will settle into.
    pub(super) fn drop_idle(&mut self, at: Timestamp) {
        let targets: SmallVec<[WindowKey; 2]> = self
            .cells
            .iter()
            .filter(|cell| cell.holds > 0)
            .filter_map(|cell| cell.moved_to)
            .collect();
        let running = self.cells.get(self.running).map(|cell| cell.window.key);
        self.cells.retain(|cell| {
            let is_over = cell.window.end <= at
                || cell.moved_to.is_some()
                || (cell.settled == 0 && cell.reserved == 0);
            let is_needed = cell.holds > 0 || targets.contains(&cell.window.key);
            !is_over || is_needed
        });
        // Out of range when it is gone: the next look finds another.
        let running = running.and_then(|key| self.position(key));
        self.running = running.unwrap_or(usize::MAX);
    }
}
