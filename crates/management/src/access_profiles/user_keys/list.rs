use serde::Serialize;
use tollgate_domain::ids::UserId;
use tollgate_storage::virtual_keys;
use utoipa::ToSchema;

use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, PartQuery, Path, Query, count};
use crate::problem::Answer;
use crate::users;

/// The keys of a user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserKeyList {
    virtual_keys: Vec<UserKeyView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
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
    params(("user_id" = String, Path, description = "The user's id"), PartQuery),
    responses((status = 200, body = UserKeyList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_user_virtual_keys(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<UserId>,
    Query(query): Query<PartQuery>,
) -> Answer<Json<UserKeyList>> {
    users::get_existing(ctx.store(), id).await?;
    let keys = virtual_keys::of_user(ctx.store(), id).await?;
    let part = query.of(keys, |key| vec![key.name.clone(), key.id.to_string()])?;
    Ok(Json(UserKeyList {
        count: count(&part.items),
        total_count: part.total_count,
        limit: part.limit,
        offset: part.offset,
        virtual_keys: part
            .items
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
