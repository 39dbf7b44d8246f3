use http::StatusCode;
use tollgate_storage::roles;

use super::{RoleBody, RoleView, get_existing, name_taken};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{CreateRoles, Require};
use crate::extract::Json;
use crate::problem::Answer;

body! {
    /// A new role. It may do nothing until it is given permissions.
    struct CreateRole {
        /// 1 to 255 characters, unique without regard to case.
        name: required Name,
        /// For people.
        description: optional Description,
    }
}

/// Create a role
#[utoipa::path(
    post, path = "/rbac/roles", tag = "roles",
    request_body = CreateRole,
    responses((status = 201, body = RoleBody), WriteRefusals),
    security(("management_key" = ["Roles:Create"]))
)]
pub(crate) async fn create_role(
    ctx: Require<CreateRoles>,
    Json(body): Json<CreateRole>,
) -> Answer<(StatusCode, Json<RoleBody>)> {
    let mut tx = ctx.begin().await?;
    let id = roles::create(&mut tx, &body.name, body.description.as_deref(), ctx.now())
        .await
        .map_err(|error| name_taken(error, &body.name))?;
    let role = RoleView::from(get_existing(&mut tx, id).await?);
    ctx.record(&mut tx, Act::new("create", "role", id).after(&role))
        .await?;
    ctx.commit(tx, (StatusCode::CREATED, Json(RoleBody { role })))
        .await
}
