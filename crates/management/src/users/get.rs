use tollgate_domain::ids::UserId;

use super::{UserBody, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewUsers};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a user
#[utoipa::path(
    get, path = "/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "The user's id")),
    responses((status = 200, body = UserBody), Refusals),
    security(("management_key" = ["Users:View"]))
)]
pub(crate) async fn get_user(
    ctx: Require<ViewUsers>,
    Path(id): Path<UserId>,
) -> Answer<Json<UserBody>> {
    let user = get_existing(ctx.store(), id).await?.into();
    Ok(Json(UserBody { user }))
}
