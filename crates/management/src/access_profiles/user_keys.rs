//! The keys of a user. They speak for all of the user's profiles.

mod create;
mod delete;
mod list;

use utoipa_axum::routes;

use crate::operations::Operations;

/// The operations on a user's keys.
pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| {
            routes!(
                list::list_user_virtual_keys,
                create::create_user_virtual_key
            )
        })
        .routes(|| routes!(delete::delete_user_virtual_key))
}

/// The operation on the path of one profile, which is kept for clients of the market's contract.
pub(super) fn superseded_operations() -> Operations {
    Operations::new().routes(|| routes!(create::create_profile_virtual_key))
}
