//! What corrections by hand have in common.
//!
//! A correction is written to the ledger's journal, with who made it and why. Whatever brings it into the database writes
//! the entry of the audit trail in the same transaction, so none can be without the other, also when the process dies in
//! between.

use tollgate_domain::ids::{AuditEntryId, BudgetId, ProfileId, UserId};
use tollgate_domain::live::{AdjustError, CorrectionNote};

use crate::body::Reason;
use crate::context::Context;
use crate::idempotency::key_reused;
use crate::problem::Problem;

/// Who corrects an amount of this profile and user, and why.
pub(crate) fn note(
    ctx: &Context,
    reason: Reason,
    profile: Option<ProfileId>,
    user: Option<UserId>,
) -> CorrectionNote {
    CorrectionNote {
        id: AuditEntryId::from_uuid(ctx.parts().ids.next_uuid()),
        actor: ctx.actor().id(),
        reason: reason.into(),
        profile,
        user,
        once: ctx.once(),
    }
}

/// Waits until the database shows what the ledger has written, for as long as that is worth it.
pub(crate) async fn catch_up(ctx: &Context) {
    ctx.parts().fold.catch_up().await;
}

/// What a caller is told of a correction that was not made.
pub(crate) trait Wrongness {
    /// The problem; `amount` points at the amount of the request.
    fn into_problem(self, amount: &str) -> Problem;
}

impl Wrongness for AdjustError {
    fn into_problem(self, amount: &str) -> Problem {
        match self {
            Self::Unavailable => Problem::unavailable(self.to_string()),
            Self::KeyReused => key_reused(),
            Self::NotInDoubt => Problem::conflict(
                "already_resolved",
                "this amount was corrected before; correct the budgets themselves with `adjust`",
            ),
            Self::BelowZero { line, used, taken } => Problem::conflict(
                "below_zero",
                format!(
                    "the budget `{}` has used ${used} in its running window, ${taken} cannot be taken from it",
                    BudgetId::from_uuid(line)
                ),
            )
            .at(amount),
            Self::TooLarge { line } => Problem::inconsistent(
                amount,
                format!(
                    "with it, the budget `{}` would have used more than the largest amount, {}",
                    BudgetId::from_uuid(line),
                    tollgate_domain::Usd::MAX
                ),
            ),
        }
    }
}
