use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers::keys;

use super::{ProviderKeyView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteProviders, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a provider's key
#[utoipa::path(
    delete, path = "/providers/{provider}/keys/{key_id}", tag = "providers",
    params(
        ("provider" = String, Path, description = "The provider's name"),
        ("key_id" = String, Path, description = "The key's id"),
    ),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Providers:Delete"]))
)]
pub(crate) async fn delete_provider_key(
    ctx: Require<DeleteProviders>,
    Path((provider, id)): Path<(ProviderName, ProviderKeyId)>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let key = get_existing(&mut tx, &provider, id).await?;
    keys::delete(&mut tx, id).await?;
    let act = Act::new("delete", "provider_key", id).before(&ProviderKeyView::from(key));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("provider key deleted")).await
}
