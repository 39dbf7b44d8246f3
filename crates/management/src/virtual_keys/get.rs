use tollgate_domain::ids::VirtualKeyId;

use super::{VirtualKeyBody, get_existing, view};
use crate::answers::Refusals;
use crate::context::{Require, ViewVirtualKeys};
use crate::extract::{Json, Path};
use crate::mcp::names;
use crate::problem::Answer;

/// Read a virtual key
#[utoipa::path(
    get, path = "/virtual-keys/{vk_id}", tag = "virtual keys",
    params(("vk_id" = String, Path, description = "The key's id")),
    responses((status = 200, body = VirtualKeyBody), Refusals),
    security(("management_key" = ["VirtualKeys:View"]))
)]
pub(crate) async fn get_virtual_key(
    ctx: Require<ViewVirtualKeys>,
    Path(id): Path<VirtualKeyId>,
) -> Answer<Json<VirtualKeyBody>> {
    let key = get_existing(ctx.store(), id).await?;
    let names = names(ctx.store(), [&key.content.mcp]).await?;
    let virtual_key = view(&ctx, &key, &names);
    Ok(Json(VirtualKeyBody { virtual_key }))
}
