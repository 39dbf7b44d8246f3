//! Whether a need fits a meter. The ledger admits by it, `explain` and replays of the past judge by it.

use crate::live::Count;

/// Which of the three steps of a reservation refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What is settled has reached the limit: final, also for a request that needs nothing.
    Spent,
    /// What is settled and this request together pass the limit: final.
    TooLarge,
    /// Running requests fill it: transient.
    InFlight,
}

impl Verdict {
    /// Whether the same request may pass in a moment.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::InFlight)
    }

    /// The verdict on a request that needs `need` of a meter with these counts; `None` when it fits.
    pub fn of(count: Count, limit: i64, need: i64) -> Option<Self> {
        let with_need = count.used.saturating_add(need);
        if count.used >= limit {
            Some(Self::Spent)
        } else if with_need > limit {
            Some(Self::TooLarge)
        } else if with_need.saturating_add(count.reserved) > limit {
            Some(Self::InFlight)
        } else {
            None
        }
    }
}
