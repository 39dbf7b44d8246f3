use tollgate_domain::ids::VirtualKeyId;
use tollgate_storage::virtual_keys::{self, VirtualKey};

use super::content::{UpdateVirtualKey, apply_update, exceeds_managed};
use super::{VirtualKeyBody, explain, get_existing, view};
use crate::access_profiles::number_provider_configs;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Require, UpdateVirtualKeys};
use crate::extract::{About, Json, Path};
use crate::limits::StartsAnew;
use crate::mcp::{names, read_grants};
use crate::problem::{Answer, Problem};

/// Change a virtual key
///
/// A key that came with an access profile takes only a name and a description.
#[utoipa::path(
    put, path = "/virtual-keys/{vk_id}", tag = "virtual keys",
    params(("vk_id" = String, Path, description = "The key's id")),
    request_body = UpdateVirtualKey,
    responses((status = 200, body = VirtualKeyBody), WriteRefusals),
    security(("management_key" = ["VirtualKeys:Update"]))
)]
pub(crate) async fn update_virtual_key(
    ctx: Require<UpdateVirtualKeys>,
    Path(id): Path<VirtualKeyId>,
    About { body, .. }: About<VirtualKeyId, UpdateVirtualKey>,
) -> Answer<Json<VirtualKeyBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let mut new = apply_update(&old, &body, ctx.parts().ids.as_ref())?;
    if let Some(configs) = &body.mcp_configs {
        new.content.mcp = read_grants(&mut tx, configs, &old.content.mcp).await?;
    }
    if exceeds_managed(&old, &new) {
        return Err(Problem::conflict(
            "managed_key",
            "this key came with an access profile; only its name and description can be edited",
        ));
    }
    number_provider_configs(&mut tx, &mut new.content).await?;
    let new = VirtualKey {
        updated_at: ctx.now(),
        ..new
    };
    virtual_keys::update(&mut tx, &new)
        .await
        .map_err(|error| explain(error, &new.name))?;
    let names = names(&mut tx, [&old.content.mcp, &new.content.mcp]).await?;
    let act = Act::new("update", "virtual_key", id);
    let act = act
        .before(&view(&ctx, &old, &names))
        .after(&view(&ctx, &new, &names))
        .starting_anew(&StartsAnew::find_live(
            &ctx,
            &old.content,
            &new.content,
            new.created_at,
        ));
    ctx.record(&mut tx, act).await?;
    let virtual_key = view(&ctx, &new, &names);
    ctx.commit(tx, Json(VirtualKeyBody { virtual_key })).await
}
