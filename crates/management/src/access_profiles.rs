//! Access profiles.

mod content;
mod view;

use utoipa_axum::router::OpenApiRouter;

use crate::state::ManagementState;

pub(crate) fn operations() -> OpenApiRouter<ManagementState> {
    OpenApiRouter::new()
}
