use serde::{Deserialize, Serialize};
use tollgate_storage::webhooks;
use utoipa::{IntoParams, ToSchema};

use super::WebhookView;
use crate::answers::Refusals;
use crate::context::{Require, ViewSettings};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListWebhooks {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the address, or of an event's name.
    search: Option<String>,
}

/// A part of the list of webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookList {
    webhooks: Vec<WebhookView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List webhooks
#[utoipa::path(
    get, path = "/webhooks", tag = "webhooks",
    params(ListWebhooks),
    responses((status = 200, body = WebhookList), Refusals),
    security(("management_key" = ["Settings:View"]))
)]
pub(crate) async fn list_webhooks(
    ctx: Require<ViewSettings>,
    Query(query): Query<ListWebhooks>,
) -> Answer<Json<WebhookList>> {
    let page = Page::new(query.limit, query.offset)?;
    let found = webhooks::list(ctx.store(), query.search.as_deref(), page.into()).await?;
    let webhooks: Vec<_> = found.items.iter().map(WebhookView::from).collect();
    Ok(Json(WebhookList {
        count: count(&webhooks),
        webhooks,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
