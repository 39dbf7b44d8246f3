use http::StatusCode;
use secrecy::SecretString;
use tollgate_domain::ids::WebhookId;
use tollgate_storage::webhooks::{self, StoredWebhook};

use super::content::{CreateWebhook, UpdateWebhook, apply_update};
use super::{WebhookBody, WebhookView, check_number};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{CreateSettings, Require};
use crate::extract::Json;
use crate::problem::Answer;

/// Create a webhook
///
/// It is told of what happens from now on.
#[utoipa::path(
    post, path = "/webhooks", tag = "webhooks",
    request_body = CreateWebhook,
    responses((status = 201, body = WebhookBody), WriteRefusals),
    security(("management_key" = ["Settings:Create"]))
)]
pub(crate) async fn create_webhook(
    ctx: Require<CreateSettings>,
    Json(body): Json<CreateWebhook>,
) -> Answer<(StatusCode, Json<WebhookBody>)> {
    let now = ctx.now();
    let empty = StoredWebhook {
        id: WebhookId::from_uuid(ctx.parts().ids.next_uuid()),
        url: String::new(),
        events: Vec::new(),
        secret: SecretString::default(),
        allow_private_network: false,
        is_active: true,
        created_at: now,
        updated_at: now,
    };
    let stored = apply_update(&empty, UpdateWebhook::from(body));
    let mut tx = ctx.begin().await?;
    check_number(&mut tx).await?;
    webhooks::create(&mut tx, &stored).await?;
    let webhook = WebhookView::from(&stored);
    let act = Act::new("create", "webhook", stored.id).after(&webhook);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, (StatusCode::CREATED, Json(WebhookBody { webhook })))
        .await
}
