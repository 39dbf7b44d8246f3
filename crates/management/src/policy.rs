//! What the policy would decide, and what a user really has.

mod effective;
mod explain;

use utoipa_axum::routes;

use crate::operations::Operations;

/// The operations on the policy.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(explain::explain_decision))
        .routes(|| routes!(effective::get_effective_policy))
}
