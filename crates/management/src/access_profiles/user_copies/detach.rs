use serde::Serialize;
use tollgate_domain::ids::{ProfileId, UserId};
use tollgate_storage::copies;
use utoipa::ToSchema;

use crate::access_profiles::assignment::detach;
use crate::answers::WriteRefusals;
use crate::context::{DeleteAccessProfiles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};
use crate::users;

/// What went with the copy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DetachedProfile {
    message: &'static str,
    deleted_vk_names: Vec<String>,
    deleted_vk_count: u64,
}

/// Take a profile away from a user
///
/// The managed keys go with the user's last copy. Either all of it happens or nothing.
#[utoipa::path(
    delete, path = "/users/{user_id}/access-profiles/{profile_id}", tag = "access profiles",
    params(
        ("user_id" = String, Path, description = "The user's id"),
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
    ),
    responses((status = 200, body = DetachedProfile), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Delete"]))
)]
pub(crate) async fn detach_access_profile(
    ctx: Require<DeleteAccessProfiles>,
    Path((user_id, profile_id)): Path<(UserId, ProfileId)>,
) -> Answer<Json<DetachedProfile>> {
    let mut tx = ctx.begin().await?;
    users::get_existing(&mut tx, user_id).await?;
    let copy = copies::find_of(&mut tx, user_id, profile_id)
        .await?
        .filter(|stored| stored.detached_at.is_none())
        .ok_or_else(|| Problem::not_found("access profile held by this user", profile_id))?;
    let deleted_vk_names = detach(&ctx, &mut tx, copy).await?;
    ctx.commit(
        tx,
        Json(DetachedProfile {
            message: "access profile taken away",
            deleted_vk_count: u64::try_from(deleted_vk_names.len()).unwrap_or(u64::MAX),
            deleted_vk_names,
        }),
    )
    .await
}
