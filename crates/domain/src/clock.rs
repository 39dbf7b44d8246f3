//! Time and ids come in from outside, so that tests own both.

use uuid::Uuid;

use crate::time::Timestamp;

/// Where the present comes from.
pub trait Clock: Send + Sync {
    /// The present instant. It may step back when the host's clock does; the ledger guards against that.
    fn now(&self) -> Timestamp;
}

/// Where new ids come from.
pub trait IdSource: Send + Sync {
    /// A new, unique, time-sortable id (UUIDv7).
    fn next_uuid(&self) -> Uuid;
}

/// The host's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the host's clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }
}

/// Ids from the host's clock and random generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemIds;

impl IdSource for SystemIds {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that makes ids"
    )]
    fn next_uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}
