//! The live numbers that the management API shows, without knowing the ledger.

use crate::ids::RequestId;
use crate::limits::{Meter, MeterId};
use crate::money::Usd;
use crate::time::Timestamp;

/// The counts of one meter in its running window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Settled.
    pub used: i64,
    /// Held by running requests.
    pub reserved: i64,
}

/// Why a correction was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdjustError {
    /// The ledger takes no writes now.
    #[error("the ledger takes no writes now; try again in a moment")]
    Unavailable,
    /// No such in-doubt amount, or it was resolved before.
    #[error("no unresolved in-doubt amount has this id")]
    NotInDoubt,
}

/// Reads and corrects the counters that enforcement uses: one counter, many readers.
pub trait LiveCounters: Send + Sync {
    /// The counts of `meter` in the window that `now` lies in.
    fn count(&self, meter: &Meter, now: Timestamp) -> Count;

    /// Sets what `meters` have used in their running windows back to zero (propagate with `reset_usage`).
    ///
    /// # Errors
    /// [`AdjustError::Unavailable`] when the journal takes no writes; then nothing has changed.
    fn reset(&self, meters: &[MeterId], now: Timestamp) -> Result<(), AdjustError>;

    /// Adds `delta` (negative: credits) to what `meter` has used in its running window.
    ///
    /// # Errors
    /// As [`LiveCounters::reset`].
    fn adjust(&self, meter: &Meter, delta: i64, now: Timestamp) -> Result<Count, AdjustError>;

    /// Replaces the amount that `request` was charged in doubt by `amount`, in the windows of its admission.
    ///
    /// # Errors
    /// As [`LiveCounters::reset`], or when the request is not in doubt.
    fn resolve_in_doubt(
        &self,
        request: RequestId,
        amount: Usd,
        now: Timestamp,
    ) -> Result<(), AdjustError>;
}
