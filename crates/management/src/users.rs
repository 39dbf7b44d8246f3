//! Users: people, and agents that act as one.

mod create;
mod delete;
mod get;
mod list;
mod role;
mod teams;
mod update;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{RoleId, UserId};
use tollgate_storage::users::User;
use tollgate_storage::{Constraint, Db, StorageError, roles, users};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::access_profiles::user_copies::NewVirtualKey;
use crate::context::Context;
use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// The operations on users.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_users, create::create_user))
        .routes(|| routes!(get::get_user, update::update_user, delete::delete_user))
        .routes(|| routes!(role::set_user_role))
        .routes(|| routes!(teams::list_user_teams, teams::set_user_teams))
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserView {
    id: String,
    name: String,
    /// Unique without regard to case.
    email: String,
    /// The role on this API.
    role_id: Option<i64>,
    /// When not, every key of the user is refused.
    is_active: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserBody {
    pub(crate) user: UserView,
}

/// A user, and the key that came with a profile of the role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserWithKey {
    user: UserView,
    /// Null when no key was made.
    virtual_key: Option<NewVirtualKey>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name,
            email: user.email,
            role_id: user.role_id.map(|id| id.0),
            is_active: user.is_active,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

/// The user, or 404.
pub(crate) async fn get_existing(db: impl Into<Db<'_>>, id: UserId) -> Answer<User> {
    users::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("user", id))
}

/// Refuses to hand on what `role` may do when the caller may not do all of it: nobody makes somebody else, or a later
/// self, stronger than they are. `place` is where the request says it.
async fn check_role_handed_on(
    ctx: &Context,
    db: impl Into<Db<'_>>,
    role: Option<RoleId>,
    place: &str,
) -> Answer<()> {
    let Some(role) = role else {
        return Ok(());
    };
    let permissions = roles::permissions(db, role).await?;
    ctx.check_handed_on(Some(&permissions), place)
}

/// What the database refused, in terms of the request.
fn explain(error: StorageError, email: &str) -> Problem {
    if error.conflicts_with(Constraint::UserEmail) {
        return Problem::conflict(
            "email_taken",
            format!("a user has the e-mail address `{email}` already"),
        )
        .at("/email");
    }
    match error {
        StorageError::Reference => Problem::unknown_reference("/role_id", "no such role exists"),
        other => other.into(),
    }
}
