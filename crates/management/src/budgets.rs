//! Budget lines of every holder, by their ids.

mod adjust;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ManagementState;

/// The operation on budget lines.
pub(crate) fn operations() -> OpenApiRouter<ManagementState> {
    OpenApiRouter::new().routes(routes!(adjust::adjust_budget))
}
