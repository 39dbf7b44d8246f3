//! Roles of the management API, and what they may do.

mod create;
mod delete;
mod get;
mod list;
mod permissions;
mod update;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::RoleId;
use tollgate_domain::permission::Permission;
use tollgate_storage::roles::Role;
use tollgate_storage::{Constraint, Db, StorageError, roles};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// The operations on roles.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_roles, create::create_role))
        .routes(|| routes!(get::get_role, update::update_role, delete::delete_role))
        .routes(|| {
            routes!(
                permissions::get_role_permissions,
                permissions::set_role_permissions
            )
        })
        .routes(|| routes!(permissions::list_permissions))
}

/// A role of the management API.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleView {
    id: i64,
    name: String,
    description: Option<String>,
    /// Every installation has it; it can be edited and not deleted.
    is_system: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleBody {
    role: RoleView,
}

/// A permission.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermissionView {
    id: i64,
    /// As `AccessProfiles:Update`.
    name: String,
    resource: &'static str,
    /// `View`, `Create`, `Update` or `Delete`.
    action: &'static str,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        Self {
            id: role.id.0,
            name: role.name,
            description: role.description,
            is_system: role.is_system,
            created_at: role.created_at,
            updated_at: role.updated_at,
        }
    }
}

impl From<Permission> for PermissionView {
    fn from(permission: Permission) -> Self {
        Self {
            id: permission.id().0,
            name: permission.to_string(),
            resource: permission.resource.as_str(),
            action: permission.action.as_str(),
        }
    }
}

/// The role, or 404.
pub(crate) async fn get_existing(db: impl Into<Db<'_>>, id: RoleId) -> Answer<Role> {
    roles::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("role", id))
}

/// A taken name as the 409 it is.
fn name_taken(error: StorageError, name: &str) -> Problem {
    if error.conflicts_with(Constraint::RoleName) {
        Problem::conflict("name_taken", format!("a role is named `{name}` already")).at("/name")
    } else {
        error.into()
    }
}
