//! Time and ids that a test owns.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use tollgate_domain::{Clock, IdSource, Timestamp};
use uuid::Uuid;

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct TestClock(AtomicI64);

impl TestClock {
    /// A clock that shows `instant`, written as in RFC 3339.
    pub fn at(instant: &str) -> Self {
        let instant: Timestamp = instant.parse().expect("an instant as in RFC 3339");
        Self(AtomicI64::new(instant.as_micros()))
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).expect("fewer than 300,000 years");
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// Jumps to any instant, also an earlier one, as a host's clock may.
    pub fn set(&self, instant: Timestamp) {
        self.0.store(instant.as_micros(), Ordering::Relaxed);
    }
}

impl Default for TestClock {
    /// A Wednesday noon, away from the ends of hours, days, weeks, months and quarters.
    fn default() -> Self {
        Self::at("2026-11-11T12:30:00Z")
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// Ids 1, 2, 3, …: the same in every run.
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl IdSource for SequentialIds {
    fn next_uuid(&self) -> Uuid {
        Uuid::from_u128(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_moves_only_when_told() {
        let clock = TestClock::at("2026-01-01T00:00:00Z");
        assert_eq!(clock.now().to_string(), "2026-01-01T00:00:00Z");
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().to_string(), "2026-01-01T00:01:30Z");
        clock.set(Timestamp::from_micros(0));
        assert_eq!(clock.now(), Timestamp::from_micros(0));
    }

    #[test]
    fn ids_are_sequential() {
        let ids = SequentialIds::default();
        assert_eq!(
            [ids.next_uuid(), ids.next_uuid()],
            [Uuid::from_u128(1), Uuid::from_u128(2)]
        );
    }
}
