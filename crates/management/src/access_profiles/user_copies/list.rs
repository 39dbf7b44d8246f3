use serde::Serialize;
use tollgate_domain::ids::UserId;
use tollgate_storage::{copies, virtual_keys};
use utoipa::ToSchema;

use super::view;
use crate::access_profiles::view::UserCopyView;
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, PartQuery, Path, Query, count};
use crate::problem::Answer;
use crate::users;

/// The profiles that a user holds, in the order in which they pay.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserCopyList {
    access_profiles: Vec<UserCopyView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List the profiles that a user holds
#[utoipa::path(
    get, path = "/users/{user_id}/access-profiles", tag = "access profiles",
    params(("user_id" = String, Path, description = "The user's id"), PartQuery),
    responses((status = 200, body = UserCopyList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_user_access_profiles(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<UserId>,
    Query(query): Query<PartQuery>,
) -> Answer<Json<UserCopyList>> {
    users::get_existing(ctx.store(), id).await?;
    let keys = virtual_keys::of_user(ctx.store(), id).await?;
    let copies = copies::of_user(ctx.store(), id).await?;
    let part = query.of(copies, |stored| {
        let copy = &stored.copy;
        vec![copy.name.clone(), copy.parent_profile_id.to_string()]
    })?;
    let access_profiles = part
        .items
        .iter()
        .map(|stored| view(&ctx, &stored.copy, &keys))
        .collect::<Answer<Vec<_>>>()?;
    Ok(Json(UserCopyList {
        count: count(&access_profiles),
        access_profiles,
        total_count: part.total_count,
        limit: part.limit,
        offset: part.offset,
    }))
}
