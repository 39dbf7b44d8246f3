use tollgate_domain::ids::WebhookId;

use super::{WebhookBody, WebhookView, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewSettings};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a webhook
#[utoipa::path(
    get, path = "/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = WebhookBody), Refusals),
    security(("management_key" = ["Settings:View"]))
)]
pub(crate) async fn get_webhook(
    ctx: Require<ViewSettings>,
    Path(id): Path<WebhookId>,
) -> Answer<Json<WebhookBody>> {
    let stored = get_existing(ctx.store(), id).await?;
    let webhook = WebhookView::from(&stored);
    Ok(Json(WebhookBody { webhook }))
}
