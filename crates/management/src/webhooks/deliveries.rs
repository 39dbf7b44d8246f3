use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::WebhookId;
use tollgate_storage::webhooks::deliveries::{self, Delivery, DeliveryState};
use utoipa::{IntoParams, ToSchema};

use super::get_existing;
use crate::answers::Refusals;
use crate::context::{Require, ViewSettings};
use crate::extract::{Json, Page, Path, Query, count};
use crate::problem::{Answer, Problem};

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListDeliveries {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the event's name or id, or of why the last attempt failed.
    search: Option<String>,
    /// Only those that are `pending`, `delivered` or `dead`.
    #[param(pattern = "^(pending|delivered|dead)$")]
    state: Option<String>,
}

/// A part of the list of deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryList {
    deliveries: Vec<DeliveryView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// One event for one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryView {
    /// The event's id, which is also that of its audit entry and the header `webhook-id`.
    id: String,
    /// What kind of event.
    event: &'static str,
    /// `pending`, `delivered` or `dead`, when it was given up.
    state: &'static str,
    /// Attempts so far.
    attempts: u32,
    /// When it is tried next; null unless it is pending.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_attempt_at: Option<Timestamp>,
    /// The status of the last answer, when there was one.
    last_status: Option<u16>,
    /// Why the last attempt failed.
    last_error: Option<String>,
    /// The body that is sent, the same in every attempt.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// When the event happened.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.event_id.to_string(),
            event: delivery.event.as_str(),
            state: delivery.state.as_str(),
            attempts: delivery.attempts,
            next_attempt_at: delivery.next_attempt_at,
            last_attempt_at: delivery.last_attempt_at,
            last_status: delivery.last_status,
            last_error: delivery.last_error,
            payload: RawValue::from_string(delivery.payload).unwrap_or_default(),
            created_at: delivery.created_at,
        }
    }
}

/// List the deliveries of a webhook
///
/// What it was told, what it is still to be told, and what was given up. Kept for 30 days unless configured otherwise.
#[utoipa::path(
    get, path = "/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(("webhook_id" = String, Path, description = "The webhook's id"), ListDeliveries),
    responses((status = 200, body = DeliveryList), Refusals),
    security(("management_key" = ["Settings:View"]))
)]
pub(crate) async fn list_webhook_deliveries(
    ctx: Require<ViewSettings>,
    Path(id): Path<WebhookId>,
    Query(query): Query<ListDeliveries>,
) -> Answer<Json<DeliveryList>> {
    let page = Page::new(query.limit, query.offset)?;
    let state = query.state.map(|text| read_state(&text)).transpose()?;
    get_existing(ctx.store(), id).await?;
    let wanted = query.search.as_deref();
    let found = deliveries::list(ctx.store(), id, state, wanted, page.into()).await?;
    let deliveries: Vec<_> = found.items.into_iter().map(DeliveryView::from).collect();
    Ok(Json(DeliveryList {
        count: count(&deliveries),
        deliveries,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

fn read_state(text: &str) -> Answer<DeliveryState> {
    text.parse().map_err(|error| {
        let text: String = text.chars().take(80).collect();
        Problem::invalid("/query/state", format!("`{text}` is {error}"))
    })
}
