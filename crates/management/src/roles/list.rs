use serde::{Deserialize, Serialize};
use tollgate_storage::roles;
use utoipa::{IntoParams, ToSchema};

use super::RoleView;
use crate::answers::Refusals;
use crate::context::{Require, ViewRoles};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which roles.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListRoles {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
}

/// A part of the list of roles.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleList {
    roles: Vec<RoleView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List roles
#[utoipa::path(
    get, path = "/rbac/roles", tag = "roles",
    params(ListRoles),
    responses((status = 200, body = RoleList), Refusals),
    security(("management_key" = ["Roles:View"]))
)]
pub(crate) async fn list_roles(
    ctx: Require<ViewRoles>,
    Query(query): Query<ListRoles>,
) -> Answer<Json<RoleList>> {
    let page = Page::new(query.limit, query.offset)?;
    let wanted = query.search.unwrap_or_default().trim().to_lowercase();
    // Roles are few, so they are read whole.
    let mut all = roles::list(ctx.store()).await?;
    all.retain(|role| role.name.to_lowercase().contains(&wanted));
    let total_count = count(&all);
    let roles: Vec<_> = page.of(all).map(RoleView::from).collect();
    Ok(Json(RoleList {
        count: count(&roles),
        roles,
        total_count,
        limit: page.limit,
        offset: page.offset,
    }))
}
