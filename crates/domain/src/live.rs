//! The live numbers that the management API shows, without knowing the ledger.

use uuid::Uuid;

use crate::ids::{AuditEntryId, ProfileId, RequestId, ResetId, UserId};
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

/// Who corrects an amount by hand, and why.
///
/// It travels in the journal's record of the correction, and becomes an entry of the audit trail in the transaction that
/// brings the correction into the database: neither can be there without the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorrectionNote {
    /// The id of the audit entry.
    pub id: AuditEntryId,
    /// Who does it, as the audit trail names it.
    pub actor: String,
    /// Why, in the actor's words.
    pub reason: String,
    /// The profile that the amount belongs to, if any.
    pub profile: Option<ProfileId>,
    /// The user that it belongs to, if any.
    pub user: Option<UserId>,
}

impl CorrectionNote {
    /// Longest actor that is kept, in bytes.
    pub const ACTOR_BYTES: u16 = 255;
    /// Longest reason that is kept, in bytes.
    pub const REASON_BYTES: u16 = 4_000;
}

/// Usage that is to be set back to zero (propagate with `reset_usage`).
///
/// It is stored in the transaction of the change that it belongs to, and stays there until the journal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReset {
    /// By which it happens once.
    pub id: ResetId,
    /// What is set back.
    pub meters: Vec<MeterId>,
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
    /// It would take more from a counter than the counter has.
    #[error("this takes ${taken} from a line that has used ${used} in its running window")]
    BelowZero {
        /// The line.
        line: Uuid,
        /// What it has used in the running window.
        used: Usd,
        /// What the correction would take away.
        taken: Usd,
    },
    /// The sum would be beyond the largest amount.
    #[error(
        "together with what the line has used, this is beyond the largest amount, {}",
        Usd::MAX
    )]
    TooLarge {
        /// The line.
        line: Uuid,
    },
}

/// Reads and corrects the counters that enforcement uses: one counter, many readers.
pub trait LiveCounters: Send + Sync {
    /// The counts of `meter` in the window that `now` lies in.
    fn count(&self, meter: &Meter, now: Timestamp) -> Count;

    /// Sets what the meters of each of `pending` have used in their running windows back to zero, unless that was done
    /// before, by this process or an earlier one.
    ///
    /// `pending` is all that the database has: what was done and is not in it any more is forgotten. So one caller at a
    /// time reads it and passes it on.
    ///
    /// # Errors
    /// [`AdjustError::Unavailable`] when the journal takes no writes; then the rest is as it was.
    fn reset(&self, pending: &[UsageReset], now: Timestamp) -> Result<(), AdjustError>;

    /// Adds `delta` (negative: credits) to what `meter` has used in its running window.
    ///
    /// # Errors
    /// As [`LiveCounters::reset`], or when the sum would leave the range from zero to the largest amount.
    fn adjust(
        &self,
        meter: &Meter,
        delta: i64,
        note: CorrectionNote,
        now: Timestamp,
    ) -> Result<Count, AdjustError>;

    /// Replaces the amount that `request` was charged in doubt by `amount`, in the windows of its admission.
    ///
    /// # Errors
    /// As [`LiveCounters::adjust`], or when the request is not in doubt.
    fn resolve_in_doubt(
        &self,
        request: RequestId,
        amount: Usd,
        note: CorrectionNote,
        now: Timestamp,
    ) -> Result<(), AdjustError>;
}
