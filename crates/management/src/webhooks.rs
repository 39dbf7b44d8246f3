//! Webhooks: who outside is told of what.

mod content;
mod create;
mod delete;
mod deliveries;
mod get;
mod list;
mod redeliver;
mod update;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::WebhookId;
use tollgate_storage::webhooks::{self, StoredWebhook};
use tollgate_storage::{Db, PageRequest};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// Every entry of the audit trail looks at all of them, so they are few.
const MAX_WEBHOOKS: u64 = 100;

/// The operations on webhooks.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_webhooks, create::create_webhook))
        .routes(|| {
            routes!(
                get::get_webhook,
                update::update_webhook,
                delete::delete_webhook
            )
        })
        .routes(|| routes!(deliveries::list_webhook_deliveries))
        .routes(|| routes!(redeliver::redeliver_to_webhook))
}

/// A webhook. Its secret is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    id: String,
    url: String,
    /// What it is told of.
    events: Vec<&'static str>,
    /// Whether the name in `url` may resolve to a private address.
    allow_private_network: bool,
    /// Whether it is told anything. What happens while it is not is never told.
    is_active: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookBody {
    webhook: WebhookView,
}

impl From<&StoredWebhook> for WebhookView {
    fn from(webhook: &StoredWebhook) -> Self {
        Self {
            id: webhook.id.to_string(),
            url: webhook.url.clone(),
            events: webhook.events.iter().map(|event| event.as_str()).collect(),
            allow_private_network: webhook.allow_private_network,
            is_active: webhook.is_active,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// The webhook, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: WebhookId) -> Answer<StoredWebhook> {
    webhooks::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("webhook", id))
}

/// Refuses one more when there are enough.
async fn check_number(db: impl Into<Db<'_>>) -> Answer<()> {
    let page = PageRequest {
        limit: 1,
        offset: 0,
    };
    if webhooks::list(db, None, page).await?.total >= MAX_WEBHOOKS {
        return Err(Problem::conflict(
            "too_many",
            format!("there are {MAX_WEBHOOKS} webhooks already; delete one first"),
        ));
    }
    Ok(())
}
