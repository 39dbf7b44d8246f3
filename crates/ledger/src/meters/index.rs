//! Finding a meter's counts.

use std::hash::{Hash, Hasher};

use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::hash::OwnMap;
use tollgate_domain::limits::{Meter, MeterId, ResetDuration, Window};
use uuid::Uuid;

/// Where each meter's counts are.
pub(super) type Index = OwnMap<StateKey, u32>;

/// A meter of one duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateKey {
    line: Uuid,
    kind: u8,
    duration: u8,
}

impl Hash for StateKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (high, low) = self.line.as_u64_pair();
        let rest = (u64::from(self.kind) << 8) | u64::from(self.duration);
        state.write_u64(high ^ low ^ (rest << 40));
    }
}

#[inline]
pub(super) fn state_key(id: MeterId, duration: Option<ResetDuration>) -> StateKey {
    StateKey {
        line: id.line,
        kind: id.kind.code(),
        duration: duration.map_or(0, ResetDuration::code),
    }
}

pub(super) fn key_of(counter: &CounterAmount) -> StateKey {
    let id = MeterId {
        line: counter.key.line,
        kind: counter.key.kind,
    };
    state_key(id, Some(counter.key.duration))
}

#[inline]
pub(super) fn duration_of(meter: &Meter) -> Option<ResetDuration> {
    meter.window.as_ref().map(|spec| spec.duration)
}

pub(super) const fn window_of(counter: &CounterAmount) -> Window {
    Window {
        key: counter.key.window,
        start: counter.start,
        end: counter.end,
    }
}
