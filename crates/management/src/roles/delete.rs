use http::StatusCode;
use tollgate_domain::ids::RoleId;
use tollgate_storage::{StorageError, roles};

use super::{RoleView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteRoles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// Delete a role
///
/// System roles cannot be deleted, and neither can a role that users have.
#[utoipa::path(
    delete, path = "/rbac/roles/{role_id}", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0)),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Roles:Delete"]))
)]
pub(crate) async fn delete_role(
    ctx: Require<DeleteRoles>,
    Path(id): Path<RoleId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let role = get_existing(&mut tx, id).await?;
    if role.is_system {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "system_role",
            format!(
                "the system role `{}` can be edited and not deleted",
                role.name
            ),
        ));
    }
    roles::delete(&mut tx, id)
        .await
        .map_err(|error| match error {
            StorageError::Reference => Problem::conflict(
                "role_in_use",
                format!(
                    "users have the role `{}`; give them another first",
                    role.name
                ),
            ),
            other => other.into(),
        })?;
    let act = Act::new("delete", "role", id).before(&RoleView::from(role));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("role deleted")).await
}
