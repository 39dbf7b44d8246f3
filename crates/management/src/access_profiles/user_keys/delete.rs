use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::virtual_keys;

use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteAccessProfiles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// Delete a key of a user
///
/// The next request with it is refused.
#[utoipa::path(
    delete, path = "/users/{user_id}/access-profiles/virtual-keys/{vk_id}", tag = "access profiles",
    params(
        ("user_id" = String, Path, description = "The user's id"),
        ("vk_id" = String, Path, description = "The key's id"),
    ),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Delete"]))
)]
pub(crate) async fn delete_user_virtual_key(
    ctx: Require<DeleteAccessProfiles>,
    Path((user, id)): Path<(UserId, VirtualKeyId)>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let key = virtual_keys::find(&mut tx, id)
        .await?
        .filter(|key| key.holder == KeyHolder::User(user))
        .ok_or_else(|| Problem::not_found("virtual key of this user", id))?;
    virtual_keys::delete(&mut tx, id).await?;
    let act = Act::new("delete", "virtual_key", id)
        .about_user(user)
        .with(&serde_json::json!({"name": key.name, "value": key.masked_value}));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("virtual key deleted")).await
}
