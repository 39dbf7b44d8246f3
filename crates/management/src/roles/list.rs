use serde::Serialize;
use tollgate_storage::roles;
use utoipa::ToSchema;

use super::RoleView;
use crate::answers::Refusals;
use crate::context::{Require, ViewRoles};
use crate::extract::Json;
use crate::problem::Answer;

/// Every role.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleList {
    roles: Vec<RoleView>,
    count: u64,
    total_count: u64,
}

/// List roles
#[utoipa::path(
    get, path = "/rbac/roles", tag = "roles",
    responses((status = 200, body = RoleList), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn list_roles(ctx: Require<ViewRoles>) -> Answer<Json<RoleList>> {
    let roles: Vec<_> = roles::list(ctx.store())
        .await?
        .into_iter()
        .map(RoleView::from)
        .collect();
    let count = u64::try_from(roles.len()).unwrap_or(u64::MAX);
    Ok(Json(RoleList {
        roles,
        count,
        total_count: count,
    }))
}
