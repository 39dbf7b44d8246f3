use std::collections::BTreeSet;

use serde::Serialize;
use tollgate_domain::ids::{PermissionId, RoleId};
use tollgate_domain::permission::Permission;
use tollgate_storage::{Db, roles};
use utoipa::ToSchema;

use super::{PermissionView, get_existing};
use crate::answers::{Refusals, WriteRefusals};
use crate::audit::Act;
use crate::body::body;
use crate::context::{Require, UpdateRoles, ViewRoles};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Permissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermissionList {
    permissions: Vec<PermissionView>,
}

body! {
    /// What a role may do from now on.
    struct SetRolePermissions {
        /// Replaces the whole list.
        permission_ids: required Vec<PermissionId>,
    }
}

/// List all permissions
#[utoipa::path(
    get, path = "/rbac/permissions", tag = "roles",
    responses((status = 200, body = PermissionList), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn list_permissions(_ctx: Require<ViewRoles>) -> Json<PermissionList> {
    let permissions = Permission::all().map(PermissionView::from).collect();
    Json(PermissionList { permissions })
}

/// List the permissions of a role
#[utoipa::path(
    get, path = "/rbac/roles/{role_id}/permissions", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0)),
    responses((status = 200, body = PermissionList), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn get_role_permissions(
    ctx: Require<ViewRoles>,
    Path(id): Path<RoleId>,
) -> Answer<Json<PermissionList>> {
    get_existing(ctx.store(), id).await?;
    Ok(Json(read(ctx.store(), id).await?))
}

/// Replace the permissions of a role
#[utoipa::path(
    put, path = "/rbac/roles/{role_id}/permissions", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0)),
    request_body = SetRolePermissions,
    responses((status = 200, body = PermissionList), WriteRefusals),
    security(("management_key" = ["Roles:Update"]))
)]
pub(crate) async fn set_role_permissions(
    ctx: Require<UpdateRoles>,
    Path(id): Path<RoleId>,
    Json(body): Json<SetRolePermissions>,
) -> Answer<Json<PermissionList>> {
    let wanted: BTreeSet<PermissionId> = body.permission_ids.iter().copied().collect();
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    let before = read(&mut tx, id).await?;
    roles::set_permissions(&mut tx, id, &wanted).await?;
    let after = read(&mut tx, id).await?;
    let act = Act::new("update", "role", id).before(&before).after(&after);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Json(after)).await
}

async fn read(db: impl Into<Db<'_>>, id: RoleId) -> Answer<PermissionList> {
    let ids = roles::permissions(db, id).await?;
    let permissions = ids
        .into_iter()
        .filter_map(Permission::from_id)
        .map(PermissionView::from)
        .collect();
    Ok(PermissionList { permissions })
}
