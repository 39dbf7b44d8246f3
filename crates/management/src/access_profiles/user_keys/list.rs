use serde::Serialize;
use tollgate_domain::ids::UserId;
use tollgate_storage::virtual_keys;
use utoipa::ToSchema;

use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Path};
use crate::problem::Answer;
use crate::users;

/// The keys of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserKeyList {
    virtual_keys: Vec<UserKeyView>,
    count: u64,
}

/// A key of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserKeyView {
    id: String,
    name: String,
    /// What can be shown of the secret.
    value: String,
    /// Whether it came with an access profile.
    is_access_profile_managed: bool,
}

/// List the keys of a user
#[utoipa::path(
    get, path = "/users/{user_id}/virtual-keys", tag = "access profiles",
    params(("user_id" = String, Path, description = "The user's id")),
    responses((status = 200, body = UserKeyList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_user_virtual_keys(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<UserId>,
) -> Answer<Json<UserKeyList>> {
    users::get_existing(ctx.store(), id).await?;
    let keys = virtual_keys::of_user(ctx.store(), id).await?;
    Ok(Json(UserKeyList {
        count: u64::try_from(keys.len()).unwrap_or(u64::MAX),
        virtual_keys: keys
            .into_iter()
            .map(|key| UserKeyView {
                id: key.id.to_string(),
                name: key.name,
                value: key.masked_value,
                is_access_profile_managed: key.is_managed,
            })
            .collect(),
    }))
}
