use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers;

use super::{get_existing, view};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteProviders, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a provider
///
/// Its keys go as well. What profiles grant of it stays written and grants nothing.
#[utoipa::path(
    delete, path = "/providers/{provider}", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Providers:Delete"]))
)]
pub(crate) async fn delete_provider(
    ctx: Require<DeleteProviders>,
    Path(name): Path<ProviderName>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let provider = get_existing(&mut tx, &name).await?;
    let before = view(&mut tx, &provider).await?;
    providers::delete(&mut tx, &name).await?;
    let act = Act::new("delete", "provider", &name);
    ctx.record(&mut tx, act.before(&before)).await?;
    ctx.commit(tx, Message::new("provider deleted")).await
}
