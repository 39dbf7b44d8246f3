use tollgate_domain::ids::VirtualKeyId;
use tollgate_storage::virtual_keys;

use super::{get_existing, view};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteVirtualKeys, Require};
use crate::extract::{Json, Path};
use crate::mcp::names;
use crate::problem::Answer;

/// Delete a virtual key
///
/// The next request with it is refused.
#[utoipa::path(
    delete, path = "/virtual-keys/{vk_id}", tag = "virtual keys",
    params(("vk_id" = String, Path, description = "The key's id")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["VirtualKeys:Delete"]))
)]
pub(crate) async fn delete_virtual_key(
    ctx: Require<DeleteVirtualKeys>,
    Path(id): Path<VirtualKeyId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let key = get_existing(&mut tx, id).await?;
    virtual_keys::delete(&mut tx, id).await?;
    let names = names(&mut tx, [&key.content.mcp]).await?;
    let act = Act::new("delete", "virtual_key", id).before(&view(&ctx, &key, &names));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("virtual key deleted")).await
}
