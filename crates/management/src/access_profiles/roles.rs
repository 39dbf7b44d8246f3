//! The roles that a profile comes with.

mod attach;
mod detach;

use utoipa_axum::routes;

use crate::operations::Operations;

/// The operations on a profile's roles.
pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(attach::attach_access_profile_roles))
        .routes(|| routes!(detach::detach_access_profile_role))
}
