use serde::Serialize;
use tollgate_domain::ids::{ProfileId, UserId, VirtualKeyId};
use tollgate_storage::copies;
use utoipa::ToSchema;

use crate::access_profiles::assignment::issue_key;
use crate::access_profiles::user_copies::NewVirtualKey;
use crate::answers::WriteRefusals;
use crate::body::{Description, Name, body};
use crate::context::{Context, CreateAccessProfiles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};
use crate::users;

body! {
    /// One more key for a user.
    struct CreateUserKey {
        /// 1 to 255 characters, unique among all keys without regard to case.
        name: required Name,
        /// For people.
        description: optional Description,
    }
}

/// The key, with its secret for the only time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedUserKey {
    virtual_key: NewVirtualKey,
}

/// Create a key for a user
///
/// The user must hold a profile; the key speaks for all that the user holds.
#[utoipa::path(
    post, path = "/users/{user_id}/virtual-keys", tag = "access profiles",
    params(("user_id" = String, Path, description = "The user's id")),
    request_body = CreateUserKey,
    responses((status = 200, body = CreatedUserKey), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn create_user_virtual_key(
    ctx: Require<CreateAccessProfiles>,
    Path(user): Path<UserId>,
    Json(body): Json<CreateUserKey>,
) -> Answer<Json<CreatedUserKey>> {
    create(&ctx, user, body).await
}

/// Create a key for a user
///
/// Keys belong to the user, not to one profile: the profile in the path is not looked at.
#[utoipa::path(
    post, path = "/users/{user_id}/access-profiles/{profile_id}/virtual-keys", tag = "access profiles",
    params(
        ("user_id" = String, Path, description = "The user's id"),
        ("profile_id" = i64, Path, description = "Not looked at", minimum = 0),
    ),
    request_body = CreateUserKey,
    responses((status = 200, body = CreatedUserKey), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn create_profile_virtual_key(
    ctx: Require<CreateAccessProfiles>,
    Path((user, _profile)): Path<(UserId, ProfileId)>,
    Json(body): Json<CreateUserKey>,
) -> Answer<Json<CreatedUserKey>> {
    create(&ctx, user, body).await
}

async fn create(ctx: &Context, user: UserId, body: CreateUserKey) -> Answer<Json<CreatedUserKey>> {
    let mut tx = ctx.begin().await?;
    users::get_existing(&mut tx, user).await?;
    if copies::of_user(&mut tx, user).await?.is_empty() {
        return Err(Problem::not_found("access profile held by the user", user));
    }
    let id = VirtualKeyId::from_uuid(ctx.parts().ids.next_uuid());
    let issued = issue_key(
        ctx,
        &mut tx,
        id,
        user,
        body.name.into(),
        body.description.map(String::from),
    )
    .await?;
    ctx.commit(
        tx,
        Json(CreatedUserKey {
            virtual_key: issued.into(),
        }),
    )
    .await
}
