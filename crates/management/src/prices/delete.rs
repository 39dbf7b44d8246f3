use tollgate_domain::provider::ProviderName;
use tollgate_storage::prices;

use super::put::view;
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteProviders, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// Delete the override of a price
///
/// The catalog's price holds again, from the next request.
#[utoipa::path(
    delete, path = "/pricing/{provider}/{model}", tag = "providers",
    params(
        ("provider" = String, Path, description = "The provider's name"),
        ("model" = String, Path, max_length = 512, description = "The model's name at the provider; a slash in it is written `%2F`"),
    ),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Providers:Delete"]))
)]
pub(crate) async fn delete_price(
    ctx: Require<DeleteProviders>,
    Path((provider, model)): Path<(ProviderName, String)>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let name = format!("{provider}/{model}");
    let old = prices::find(&mut tx, &provider, &model)
        .await?
        .ok_or_else(|| Problem::not_found("price override", &name))?;
    prices::delete(&mut tx, &provider, &model).await?;
    let act = Act::new("delete", "price", name).before(&view(&old));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("price override deleted")).await
}
