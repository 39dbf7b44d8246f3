use tollgate_domain::ids::WebhookId;
use tollgate_storage::webhooks;

use super::{WebhookView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteSettings, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a webhook
///
/// What still waits for it is never told; its deliveries go as well.
#[utoipa::path(
    delete, path = "/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Settings:Delete"]))
)]
pub(crate) async fn delete_webhook(
    ctx: Require<DeleteSettings>,
    Path(id): Path<WebhookId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let stored = get_existing(&mut tx, id).await?;
    webhooks::delete(&mut tx, id).await?;
    let act = Act::new("delete", "webhook", id).before(&WebhookView::from(&stored));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("webhook deleted")).await
}
