//! Finding a meter's counts.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::limits::{Meter, MeterId, ResetDuration, Window};

/// Line ids are random already, and made by us: mixing them once is enough.
#[derive(Debug, Default)]
pub(super) struct LineHasher(u64);

impl Hasher for LineHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }
}

/// Line, kind and duration.
pub(super) type StateKey = (u128, u8, u8);

pub(super) fn state_key(id: MeterId, duration: Option<ResetDuration>) -> StateKey {
    (
        id.line.as_u128(),
        id.kind.code(),
        duration.map_or(0, ResetDuration::code),
    )
}

pub(super) fn window_of(counter: &CounterAmount) -> Window {
    Window {
        key: counter.key.window,
        start: counter.start,
        end: counter.end,
    }
}

pub(super) fn key_of(counter: &CounterAmount) -> StateKey {
    let id = MeterId {
        line: counter.key.line,
        kind: counter.key.kind,
    };
    state_key(id, Some(counter.key.duration))
}

pub(super) fn duration_of(meter: &Meter) -> Option<ResetDuration> {
    meter.window.as_ref().map(|spec| spec.duration)
}

/// Where each meter's counts are.
pub(super) type Index = HashMap<StateKey, u32, BuildHasherDefault<LineHasher>>;
