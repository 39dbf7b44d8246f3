use tollgate_domain::ids::WebhookId;
use tollgate_storage::webhooks::{self, StoredWebhook};

use super::content::{UpdateWebhook, apply_update};
use super::{WebhookBody, WebhookView, get_existing};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Require, UpdateSettings};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Change a webhook
///
/// Partial: what is left out is kept, the secret too.
#[utoipa::path(
    put, path = "/webhooks/{webhook_id}", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id")),
    request_body = UpdateWebhook,
    responses((status = 200, body = WebhookBody), WriteRefusals),
    security(("management_key" = ["Settings:Update"]))
)]
pub(crate) async fn update_webhook(
    ctx: Require<UpdateSettings>,
    Path(id): Path<WebhookId>,
    Json(body): Json<UpdateWebhook>,
) -> Answer<Json<WebhookBody>> {
    let has_new_secret = body.secret.is_some();
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let new = StoredWebhook {
        updated_at: ctx.now(),
        ..apply_update(&old, body)
    };
    webhooks::update(&mut tx, &new).await?;
    let (before, webhook) = (WebhookView::from(&old), WebhookView::from(&new));
    let act = Act::new("update", "webhook", id)
        .before(&before)
        .after(&webhook)
        .with(&serde_json::json!({"has_new_secret": has_new_secret}));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Json(WebhookBody { webhook })).await
}
