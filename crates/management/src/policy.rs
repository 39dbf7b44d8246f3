//! What the policy would decide, and what a user really has.

mod effective;
mod explain;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ManagementState;

/// The operations on the policy.
pub(crate) fn operations() -> OpenApiRouter<ManagementState> {
    OpenApiRouter::new()
        .routes(routes!(explain::explain_decision))
        .routes(routes!(effective::get_effective_policy))
}
