//! The roles that a profile comes with.

mod attach;
mod detach;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::state::ManagementState;

/// The operations on a profile's roles.
pub(super) fn operations() -> OpenApiRouter<ManagementState> {
    OpenApiRouter::new()
        .routes(routes!(attach::attach_access_profile_roles))
        .routes(routes!(detach::detach_access_profile_role))
}
