use tollgate_domain::ids::RoleId;

use super::{RoleBody, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewRoles};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a role
#[utoipa::path(
    get, path = "/rbac/roles/{role_id}", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0)),
    responses((status = 200, body = RoleBody), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn get_role(
    ctx: Require<ViewRoles>,
    Path(id): Path<RoleId>,
) -> Answer<Json<RoleBody>> {
    let role = get_existing(ctx.store(), id).await?.into();
    Ok(Json(RoleBody { role }))
}
