//! All meters, and the operations on several of them at once.

use std::sync::Arc;

use smallvec::SmallVec;
use tollgate_domain::Timestamp;
use tollgate_domain::access::Need;
use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::limits::{Meter, MeterId, MeterKind, ResetDuration, Window};
use tollgate_domain::live::Count;

use super::index::{Index, duration_of, key_of, state_key, window_of};
use super::left::Left;
use super::state::{Cell, State, window_of as meter_window};
use super::{
    Attempt, Charge, Charges, Counts, Full, Held, HeldList, Move, Reserved, USUAL_METERS, Verdict,
};

/// Meters looked at for forgetting, each time a new one is remembered.
const SWEPT_FOR_EACH_NEW: usize = 4;

/// Where a need's counts are.
#[derive(Clone, Copy)]
struct Place {
    slot: u32,
    cell: usize,
    is_carried: bool,
}

type Places = SmallVec<[Option<Place>; USUAL_METERS]>;

/// Every meter that has usage, holds, or was asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Table {
    index: Index,
    states: Vec<State>,
    /// Slots of `states` that are free again.
    free: Vec<u32>,
    hand: usize,
    left: Left,
    has_grown: bool,
    last: Timestamp,
}

impl Table {
    /// An empty table in which time does not run behind `last`.
    pub(crate) fn starting_at(last: Timestamp) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// `now`, or the latest instant that was seen, when that is later.
    pub(crate) fn advance(&mut self, now: Timestamp) -> Timestamp {
        self.last = self.last.max(now);
        self.last
    }

    pub(crate) fn reserve(&mut self, needs: &[Need], now: Timestamp) -> Attempt {
        self.exchange(&HeldList::new(), false, needs, now)
    }

    /// Holds `needs` in the place of `old`, all or nothing. Request counts and parallel slots of meters that both touch
    /// carry over.
    pub(crate) fn exchange(
        &mut self,
        old: &HeldList,
        is_dispatched: bool,
        needs: &[Need],
        now: Timestamp,
    ) -> Attempt {
        let at = self.advance(now);
        let mut moves = SmallVec::new();
        let places = self.places(old, needs, at, &mut moves);
        self.lift(old, &places);
        let mut shadowed = SmallVec::new();
        let full = self.first_full(needs, &places, at, &mut shadowed);
        let result = if let Some(full) = full {
            self.put_back(old, &places);
            Err(full)
        } else {
            let left = self.leave(old, &places, is_dispatched);
            Ok(Reserved {
                held: self.hold(old, needs, &places),
                left,
            })
        };
        let counts = needs
            .iter()
            .zip(&places)
            .map(|(need, place)| match place {
                Some(place) => self.states[place.slot as usize].cells[place.cell].count(),
                None => self.count(&need.meter, at),
            })
            .collect();
        if std::mem::take(&mut self.has_grown) {
            self.sweep(at);
        }
        Attempt {
            at,
            moves,
            counts,
            shadowed,
            result,
        }
    }

    /// Ends a hold: what it held is free again, and `charge` counts in the windows of its admission.
    pub(crate) fn close(
        &mut self,
        held: &HeldList,
        charge: Charge,
        now: Timestamp,
    ) -> (Timestamp, Charges, Counts) {
        let at = self.advance(now);
        let mut charges = Charges::new();
        let mut counts = Counts::new();
        for part in held {
            let Some((cell, window)) = self.release(part) else {
                counts.push(Count::default());
                continue;
            };
            let amount = charge.of(part);
            cell.settled = cell.settled.saturating_add(amount);
            counts.push(cell.count());
            if let Some(duration) = part.duration
                && amount != 0
            {
                charges.push(CounterAmount::new(
                    part.id.line,
                    part.id.kind,
                    duration,
                    window,
                    amount,
                ));
            }
        }
        (at, charges, counts)
    }

    /// The counts of `meter` in its window at `at`, which may be any instant.
    pub(crate) fn count(&self, meter: &Meter, at: Timestamp) -> Count {
        self.index
            .get(&state_key(meter.id, duration_of(meter)))
            .map_or_else(Count::default, |slot| {
                self.states[*slot as usize].peek(meter, at)
            })
    }

    /// Brings usage over when the lattice of `meter` was edited.
    pub(crate) fn touch(&mut self, meter: &Arc<Meter>, now: Timestamp) -> SmallVec<[Move; 1]> {
        let at = self.advance(now);
        let mut moves = SmallVec::new();
        let duration = duration_of(meter);
        if let Some(slot) = self.index.get(&state_key(meter.id, duration)).copied() {
            self.locate(slot, meter, at, &mut moves);
        } else if let Some(duration) = duration
            && !self.left.is_empty()
        {
            let window = meter_window(meter, at);
            let (line, kind) = (meter.id.line, meter.id.kind);
            let from = CounterAmount::new(line, kind, duration, window, 0);
            moves.extend(self.left.note(Move { from, to: window }, at));
        }
        moves
    }

    /// Corrections of a window that still runs belong where its usage is, also when an edit moved that.
    pub(crate) fn follow(&mut self, changes: &mut [CounterAmount]) -> SmallVec<[Move; 1]> {
        let mut moves = SmallVec::new();
        let at = self.last;
        for change in changes.iter_mut().filter(|one| window_of(one).contains(at)) {
            let Some(slot) = self.index.get(&key_of(change)).copied() else {
                continue;
            };
            let window = match self.states[slot as usize].seen() {
                Some(seen) => {
                    let cell = self.locate(slot, &seen, at, &mut moves);
                    Some(self.states[slot as usize].cells[cell].window)
                }
                // Since the start nobody has asked for the line: its usage is where it was then.
                None => self.states[slot as usize].counted_at(at),
            };
            if let Some(window) = window {
                change.key.window = window.key;
                change.start = window.start;
                change.end = window.end;
            }
        }
        moves
    }

    /// Adds differences to counters, whatever window they name.
    pub(crate) fn apply(&mut self, changes: &[CounterAmount]) {
        for change in changes {
            let id = MeterId {
                line: change.key.line,
                kind: change.key.kind,
            };
            let slot = self.slot(id, Some(change.key.duration));
            let state = &mut self.states[slot as usize];
            let cell = state.cell_or_new(window_of(change));
            let cell = &mut state.cells[cell];
            cell.settled = cell.settled.saturating_add(change.amount);
        }
    }

    /// What the counter that `change` names has settled; `None` when its window does not run.
    pub(crate) fn settled(&self, change: &CounterAmount) -> Option<i64> {
        if !window_of(change).contains(self.last) {
            return None;
        }
        let slot = self.index.get(&key_of(change));
        let state = slot.and_then(|slot| self.states.get(*slot as usize));
        let cell = state.and_then(|state| {
            let at = state.resolve(change.key.window)?;
            state.cells.get(at)
        });
        Some(cell.map_or(0, |cell| cell.settled))
    }

    /// What the meters with these ids have settled in their running windows.
    pub(crate) fn running(&mut self, ids: &[MeterId], now: Timestamp) -> Vec<CounterAmount> {
        let at = self.advance(now);
        let mut counters = Vec::new();
        for (id, duration) in ids.iter().flat_map(|id| {
            ResetDuration::ALL
                .into_iter()
                .map(move |duration| (*id, duration))
        }) {
            let Some(slot) = self.index.get(&state_key(id, Some(duration))) else {
                continue;
            };
            let cells = self.states[*slot as usize].cells.iter();
            counters.extend(
                cells
                    .filter(|cell| cell.settled != 0 && cell.window.contains(at))
                    .map(|cell| {
                        CounterAmount::new(id.line, id.kind, duration, cell.window, cell.settled)
                    }),
            );
        }
        counters
    }

    fn slot(&mut self, id: MeterId, duration: Option<ResetDuration>) -> u32 {
        let key = state_key(id, duration);
        if let Some(slot) = self.index.get(&key) {
            return *slot;
        }
        self.has_grown = true;
        let state = State::new(id, duration);
        let slot = if let Some(slot) = self.free.pop() {
            self.states[slot as usize] = state;
            slot
        } else {
            self.states.push(state);
            // Four billion meters do not fit the memory.
            u32::try_from(self.states.len() - 1).unwrap_or(u32::MAX)
        };
        self.index.insert(key, slot);
        slot
    }

    fn locate(
        &mut self,
        slot: u32,
        meter: &Arc<Meter>,
        at: Timestamp,
        moves: &mut SmallVec<[Move; 1]>,
    ) -> usize {
        let (state, left) = (&mut self.states[slot as usize], &mut self.left);
        let duration = state.duration;
        state.running(meter, at, |from, to, settled| {
            if let Some(duration) = duration {
                let (line, kind) = (meter.id.line, meter.id.kind);
                let from = CounterAmount::new(line, kind, duration, from, settled);
                moves.extend(left.note(Move { from, to }, at));
            }
        })
    }

    /// Where each need is counted. `None` for a meter that an earlier need names already: one request counts once.
    fn places(
        &mut self,
        old: &HeldList,
        needs: &[Need],
        at: Timestamp,
        moves: &mut SmallVec<[Move; 1]>,
    ) -> Places {
        let mut places = Places::new();
        for need in needs {
            let slot = self.slot(need.meter.id, duration_of(&need.meter));
            let is_known = |place: &Option<Place>| place.is_some_and(|place| place.slot == slot);
            if places.iter().any(is_known) {
                places.push(None);
                continue;
            }
            let is_carried = matches!(
                need.meter.id.kind,
                MeterKind::Requests | MeterKind::Parallel
            ) && old.iter().any(|part| part.slot == slot);
            places.push(Some(Place {
                slot,
                cell: self.locate(slot, &need.meter, at, moves),
                is_carried,
            }));
        }
        places
    }

    /// Takes the old reservations out while the new ones are judged.
    fn lift(&mut self, old: &HeldList, places: &Places) {
        for part in old.iter().filter(|part| !is_carried(part, places)) {
            if let Some(cell) = self.cell(part) {
                cell.reserved = cell.reserved.saturating_sub(part.amount);
            }
        }
    }

    fn put_back(&mut self, old: &HeldList, places: &Places) {
        for part in old.iter().filter(|part| !is_carried(part, places)) {
            if let Some(cell) = self.cell(part) {
                cell.reserved = cell.reserved.saturating_add(part.amount);
            }
        }
    }

    fn first_full(
        &self,
        needs: &[Need],
        places: &Places,
        at: Timestamp,
        shadowed: &mut SmallVec<[Full; 1]>,
    ) -> Option<Full> {
        for (position, (need, place)) in needs.iter().zip(places).enumerate() {
            let Some(place) = place.filter(|place| !place.is_carried) else {
                continue;
            };
            let count = self.states[place.slot as usize].cells[place.cell].count();
            let limit = need.meter.effective_limit(at);
            let Some(verdict) = Verdict::of(count, limit, need.amount) else {
                continue;
            };
            let full = Full {
                need: position,
                verdict,
                count,
            };
            if need.is_enforced {
                return Some(full);
            }
            shadowed.push(full);
        }
        None
    }

    /// Lets go of what an exchange leaves. A request that was dispatched stays counted where it went.
    fn leave(&mut self, old: &HeldList, places: &Places, is_dispatched: bool) -> Charges {
        let mut charges = Charges::new();
        for part in old.iter().filter(|part| !is_carried(part, places)) {
            let Some((cell, window)) = self.let_go(part) else {
                continue;
            };
            if is_dispatched
                && part.id.kind == MeterKind::Requests
                && let Some(duration) = part.duration
            {
                cell.settled = cell.settled.saturating_add(part.amount);
                charges.push(CounterAmount::new(
                    part.id.line,
                    part.id.kind,
                    duration,
                    window,
                    part.amount,
                ));
            }
        }
        charges
    }

    fn hold(&mut self, old: &HeldList, needs: &[Need], places: &Places) -> HeldList {
        let mut held = HeldList::new();
        for (need, place) in needs.iter().zip(places) {
            let Some(place) = place else { continue };
            let of_old = || old.iter().find(|part| part.slot == place.slot);
            if place.is_carried
                && let Some(part) = of_old()
            {
                held.push(self.re_home(*part));
                continue;
            }
            let state = &mut self.states[place.slot as usize];
            let cell = &mut state.cells[place.cell];
            cell.reserved = cell.reserved.saturating_add(need.amount);
            cell.holds += 1;
            held.push(Held {
                slot: place.slot,
                cell: cell.number,
                id: state.id,
                duration: state.duration,
                window: cell.window,
                amount: need.amount,
            });
        }
        held
    }

    /// `part`, named by the window in which it counts now: what is written about it from here on has to say so itself.
    fn re_home(&mut self, part: Held) -> Held {
        let Some((cell, window)) = self.let_go(&part) else {
            return part;
        };
        cell.holds += 1;
        Held {
            cell: cell.number,
            window,
            ..part
        }
    }

    /// The cell in which `part` is reserved now.
    fn cell(&mut self, part: &Held) -> Option<&mut Cell> {
        let state = self.states.get_mut(part.slot as usize)?;
        let at = state.resolve_number(part.cell)?;
        state.cells.get_mut(at)
    }

    /// Frees what `part` holds; yields the cell and window where it counts now.
    fn release(&mut self, part: &Held) -> Option<(&mut Cell, Window)> {
        if let Some(cell) = self.cell(part) {
            cell.reserved = cell.reserved.saturating_sub(part.amount);
        }
        self.let_go(part)
    }

    /// As [`Table::release`], when the amount was taken out before.
    fn let_go(&mut self, part: &Held) -> Option<(&mut Cell, Window)> {
        let state = self.states.get_mut(part.slot as usize)?;
        if let Some(own) = state.numbered(part.cell) {
            let cell = &mut state.cells[own];
            cell.holds = cell.holds.saturating_sub(1);
        }
        let at = state.resolve_number(part.cell)?;
        let cell = state.cells.get_mut(at)?;
        let window = cell.window;
        Some((cell, window))
    }

    /// Forgets a few meters of which nothing is left, so that the table does not outgrow what is in use.
    fn sweep(&mut self, at: Timestamp) {
        for _ in 0..SWEPT_FOR_EACH_NEW.min(self.states.len()) {
            self.hand = if self.hand + 1 < self.states.len() {
                self.hand + 1
            } else {
                0
            };
            let state = &mut self.states[self.hand];
            state.drop_idle(at);
            if state.cells.is_empty() {
                self.forget(self.hand);
            }
        }
    }

    fn forget(&mut self, at: usize) {
        let state = &self.states[at];
        let key = state_key(state.id, state.duration);
        // A slot that is free already is empty as well, and its old key may have another slot by now.
        if let Ok(slot) = u32::try_from(at)
            && self.index.get(&key) == Some(&slot)
        {
            self.index.remove(&key);
            self.free.push(slot);
        }
    }
}

fn is_carried(part: &Held, places: &Places) -> bool {
    places
        .iter()
        .flatten()
        .any(|place| place.is_carried && place.slot == part.slot)
}
