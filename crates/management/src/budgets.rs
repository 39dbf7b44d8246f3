//! Budget lines of every holder, by their ids.

mod adjust;

use utoipa_axum::routes;

use crate::operations::Operations;

/// The operation on budget lines.
pub(crate) fn operations() -> Operations {
    Operations::new().routes(|| routes!(adjust::adjust_budget))
}
