//! The live numbers that the management API shows, without knowing the ledger.

use uuid::Uuid;

use crate::ids::{AuditEntryId, ProfileId, RequestId, ResetId, UserId};
use crate::limits::{Meter, MeterId};
use crate::money::Usd;
use crate::time::{MICROS_PER_SECOND, Timestamp};

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
    /// By what a repetition is told from another correction; `None` when the caller does not mind.
    pub once: Option<Once>,
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

/// A correction that is made once, however often its actor asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// The actor's own name for the request: its idempotency key.
    pub key: String,
    /// SHA-256 of the whole request, by which another one with the same key is told apart.
    pub fingerprint: [u8; 32],
}

impl Once {
    /// Longest key that is kept, in bytes.
    pub const KEY_BYTES: u16 = 255;
    /// For how long a repetition is known as one, in microseconds.
    pub const KEPT_FOR: i64 = 24 * 3_600 * MICROS_PER_SECOND;
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
    /// The actor has made another correction with this key.
    #[error("another correction was made with this idempotency key")]
    KeyReused,
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

    /// Adds `delta` (negative: credits) to what `meter` has used in its running window. What `note` says was made before
    /// is not made again.
    ///
    /// # Errors
    /// As [`LiveCounters::reset`]; when the sum would leave the range from zero to the largest amount; and when another
    /// correction was made with the key of `note`.
    fn adjust(
        &self,
        meter: &Meter,
        delta: i64,
        note: CorrectionNote,
        now: Timestamp,
    ) -> Result<Count, AdjustError>;

    /// Replaces the amount that `request` was charged in doubt by `amount`, in the windows of its admission; once, as
    /// [`LiveCounters::adjust`].
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
