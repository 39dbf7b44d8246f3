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
use crate::extract::{Json, PartQuery, Path, Query, count};
use crate::problem::Answer;

/// A part of a list of permissions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermissionList {
    permissions: Vec<PermissionView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// What a role may do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RolePermissions {
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
    params(PartQuery),
    responses((status = 200, body = PermissionList), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn list_permissions(
    _ctx: Require<ViewRoles>,
    Query(query): Query<PartQuery>,
) -> Answer<Json<PermissionList>> {
    PermissionList::of(query, Permission::all().collect())
}

/// List the permissions of a role
#[utoipa::path(
    get, path = "/rbac/roles/{role_id}/permissions", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0), PartQuery),
    responses((status = 200, body = PermissionList), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn get_role_permissions(
    ctx: Require<ViewRoles>,
    Path(id): Path<RoleId>,
    Query(query): Query<PartQuery>,
) -> Answer<Json<PermissionList>> {
    get_existing(ctx.store(), id).await?;
    PermissionList::of(query, read(ctx.store(), id).await?)
}

/// Replace the permissions of a role
///
/// None can be added that the caller does not have.
#[utoipa::path(
    put, path = "/rbac/roles/{role_id}/permissions", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0)),
    request_body = SetRolePermissions,
    responses((status = 200, body = RolePermissions), WriteRefusals),
    security(("management_key" = ["Roles:Update"]))
)]
pub(crate) async fn set_role_permissions(
    ctx: Require<UpdateRoles>,
    Path(id): Path<RoleId>,
    Json(body): Json<SetRolePermissions>,
) -> Answer<Json<RolePermissions>> {
    let wanted: BTreeSet<PermissionId> = body.permission_ids.iter().copied().collect();
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    let before = read(&mut tx, id).await?;
    let had: BTreeSet<PermissionId> = before.iter().map(|each| each.id()).collect();
    let added = wanted.difference(&had).copied().collect();
    ctx.check_handed_on(Some(&added), "/permission_ids")?;
    let before = RolePermissions::of(before);
    roles::set_permissions(&mut tx, id, &wanted).await?;
    let after = RolePermissions::of(read(&mut tx, id).await?);
    let act = Act::new("update", "role", id).before(&before).after(&after);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Json(after)).await
}

async fn read(db: impl Into<Db<'_>>, id: RoleId) -> Answer<Vec<Permission>> {
    let ids = roles::permissions(db, id).await?;
    Ok(ids.into_iter().filter_map(Permission::from_id).collect())
}

impl PermissionList {
    fn of(query: PartQuery, all: Vec<Permission>) -> Answer<Json<Self>> {
        let part = query.of(all, |permission| vec![permission.to_string()])?;
        let permissions: Vec<_> = part.items.into_iter().map(PermissionView::from).collect();
        Ok(Json(Self {
            count: count(&permissions),
            permissions,
            total_count: part.total_count,
            limit: part.limit,
            offset: part.offset,
        }))
    }
}

impl RolePermissions {
    fn of(permissions: Vec<Permission>) -> Self {
        Self {
            permissions: permissions.into_iter().map(PermissionView::from).collect(),
        }
    }
}
