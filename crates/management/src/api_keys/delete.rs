use tollgate_domain::ids::ManagementKeyId;
use tollgate_storage::management_keys;

use super::{ApiKeyView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteApiKeys, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a management key
#[utoipa::path(
    delete, path = "/api-keys/{api_key_id}", tag = "management keys",
    params(("api_key_id" = String, Path, description = "The key's id")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["APIKeys:Delete"]))
)]
pub(crate) async fn delete_api_key(
    ctx: Require<DeleteApiKeys>,
    Path(id): Path<ManagementKeyId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let key = get_existing(&mut tx, id).await?;
    management_keys::delete(&mut tx, id).await?;
    let act = Act::new("delete", "management_key", id).before(&ApiKeyView::from(key));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("management key deleted")).await
}
