//! One meter's counts, window by window.

use std::sync::Arc;

use smallvec::SmallVec;
use tollgate_domain::Timestamp;
use tollgate_domain::limits::{Meter, MeterId, ResetDuration, Window, WindowKey};
use tollgate_domain::live::Count;

/// The counts of one window.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// By which holds and moves name it, for ever.
    pub(super) number: u32,
    pub(super) window: Window,
    pub(super) settled: i64,
    pub(super) reserved: i64,
    /// Open holds whose admission was in this window.
    pub(super) holds: u32,
    /// Set when an edit moved the lattice: everything here counts in that cell now.
    pub(super) moved_to: Option<u32>,
}

impl Cell {
    const fn new(number: u32, window: Window) -> Self {
        Self {
            number,
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
    /// The number of the next cell.
    next: u32,
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
            next: 0,
            cells: SmallVec::new(),
        }
    }

    /// The cell of the window that `at` lies in. Windows of an older lattice that `at` lies in as well are emptied into
    /// it; `moved` is told of each, and at the end of the window itself, as one that went nowhere.
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
        self.drop_idle(at);
        let running = self.home(window, at);
        let number = self.cells[running].number;
        self.cells[running].moved_to = None;
        self.cells[running].window = window;
        for other in 0..self.cells.len() {
            let cell = &mut self.cells[other];
            if other == running || cell.moved_to.is_some() || !cell.window.contains(at) {
                continue;
            }
            let (settled, reserved) = (cell.settled, cell.reserved);
            let (from, left) = (cell.window, cell.number);
            cell.settled = 0;
            cell.reserved = 0;
            cell.moved_to = Some(number);
            let into = &mut self.cells[running];
            into.settled = into.settled.saturating_add(settled);
            into.reserved = into.reserved.saturating_add(reserved);
            moved(from, window, settled);
            // One step from any window that was left to where it counts: nothing in between has to be kept.
            for cell in &mut self.cells {
                if cell.moved_to == Some(left) {
                    cell.moved_to = Some(number);
                }
            }
        }
        moved(window, window, 0);
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

    /// The cell for a window that runs. An edit may have brought the lattice back to one that had been left: its cell is
    /// the same if what left it comes back as well. Where that has ended meanwhile it stays there, with its holds.
    fn home(&mut self, window: Window, at: Timestamp) -> usize {
        let comes_back = |number: u32| {
            let went_to = self.numbered(number).map(|place| &self.cells[place]);
            went_to.is_none_or(|cell| cell.window.contains(at))
        };
        let is_home =
            |cell: &Cell| cell.window.key == window.key && cell.moved_to.is_none_or(comes_back);
        match self.cells.iter().position(is_home) {
            Some(home) => home,
            None => self.add(window),
        }
    }

    /// Where `key` is counted now.
    pub(super) fn resolve(&self, key: WindowKey) -> Option<usize> {
        self.follow(self.position(key)?)
    }

    /// Where the cell of this number is counted now.
    pub(super) fn resolve_number(&self, number: u32) -> Option<usize> {
        self.follow(self.numbered(number)?)
    }

    fn follow(&self, own: usize) -> Option<usize> {
        match self.cells[own].moved_to {
            Some(next) => self.numbered(next),
            None => Some(own),
        }
    }

    pub(super) fn numbered(&self, number: u32) -> Option<usize> {
        self.cells.iter().position(|cell| cell.number == number)
    }

    /// The line as it was last seen by a request, if one has been.
    pub(super) fn seen(&self) -> Option<Arc<Meter>> {
        self.seen.clone()
    }

    /// The cell of a window, rather one that was not left.
    fn position(&self, key: WindowKey) -> Option<usize> {
        let of_key = |cell: &Cell| cell.window.key == key;
        let mut cells = self.cells.iter();
        cells
            .position(|cell| of_key(cell) && cell.moved_to.is_none())
            .or_else(|| self.cells.iter().position(of_key))
    }

    pub(super) fn cell_or_new(&mut self, window: Window) -> usize {
        match self.position(window.key) {
            Some(place) => place,
            None => self.add(window),
        }
    }

    fn add(&mut self, window: Window) -> usize {
        self.cells.push(Cell::new(self.next, window));
        self.next = self.next.wrapping_add(1);
        self.cells.len() - 1
    }

    /// Forgets windows that have ended (or hold nothing at all) and that no open hold will settle into.
    pub(super) fn drop_idle(&mut self, at: Timestamp) {
        let targets: SmallVec<[u32; 2]> = self
            .cells
            .iter()
            .filter(|cell| cell.holds > 0)
            .filter_map(|cell| cell.moved_to)
            .collect();
        let running = self.cells.get(self.running).map(|cell| cell.number);
        self.cells.retain(|cell| {
            let is_over = cell.window.end <= at
                || cell.moved_to.is_some()
                || (cell.settled == 0 && cell.reserved == 0);
            let is_needed = cell.holds > 0 || targets.contains(&cell.number);
            !is_over || is_needed
        });
        // Out of range when it is gone: the next look finds another.
        let running = running.and_then(|number| self.numbered(number));
        self.running = running.unwrap_or(usize::MAX);
    }
}
