use serde::Serialize;
use tollgate_domain::ids::UserId;
use tollgate_storage::{copies, virtual_keys};
use utoipa::ToSchema;

use super::view;
use crate::access_profiles::view::UserCopyView;
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Path};
use crate::problem::Answer;
use crate::users;

/// The profiles that a user holds, in the order in which they pay.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserCopyList {
    access_profiles: Vec<UserCopyView>,
}

/// List the profiles that a user holds
#[utoipa::path(
    get, path = "/users/{user_id}/access-profiles", tag = "access profiles",
    params(("user_id" = String, Path, description = "The user's id")),
    responses((status = 200, body = UserCopyList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_user_access_profiles(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<UserId>,
) -> Answer<Json<UserCopyList>> {
    users::get_existing(ctx.store(), id).await?;
    let keys = virtual_keys::of_user(ctx.store(), id).await?;
    let copies = copies::of_user(ctx.store(), id).await?;
    let access_profiles = copies
        .iter()
        .map(|stored| view(&ctx, &stored.copy, &keys))
        .collect::<Answer<_>>()?;
    Ok(Json(UserCopyList { access_profiles }))
}
