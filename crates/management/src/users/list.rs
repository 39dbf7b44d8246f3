use serde::{Deserialize, Serialize};
use tollgate_storage::users::{self, UserFilter};
use utoipa::{IntoParams, ToSchema};

use super::UserView;
use crate::answers::Refusals;
use crate::context::{Require, ViewUsers};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which users.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListUsers {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name or e-mail address.
    search: Option<String>,
}

/// A part of the list of users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserList {
    users: Vec<UserView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List users
#[utoipa::path(
    get, path = "/users", tag = "users",
    params(ListUsers),
    responses((status = 200, body = UserList), Refusals),
    security(("management_key" = ["Users:View"]))
)]
pub(crate) async fn list_users(
    ctx: Require<ViewUsers>,
    Query(query): Query<ListUsers>,
) -> Answer<Json<UserList>> {
    let page = Page::new(query.limit, query.offset)?;
    let filter = UserFilter {
        search: query.search,
        role: None,
    };
    let found = users::list(ctx.store(), &filter, page.into()).await?;
    let users: Vec<_> = found.items.into_iter().map(UserView::from).collect();
    Ok(Json(UserList {
        count: count(&users),
        users,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
