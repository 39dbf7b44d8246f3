use serde::Serialize;
use tollgate_domain::ids::{AuditEntryId, WebhookId};
use tollgate_storage::webhooks::deliveries;
use utoipa::ToSchema;

use super::deliveries::DeliveryView;
use super::get_existing;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Require, UpdateSettings};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// The delivery as it waits now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedeliveredBody {
    delivery: DeliveryView,
}

/// What the audit trail says of it, besides the webhook.
#[derive(Serialize)]
struct Metadata<'a> {
    event_id: &'a str,
    event: &'static str,
    /// What it was before.
    state: &'static str,
}

/// Deliver an event again
///
/// Sends an event that was given up, or that the receiver has lost since, as if it had never been tried: at once, and then
/// as often as any other. Its body and its id are the same, so a receiver that has it already can tell.
#[utoipa::path(
    post, path = "/webhooks/{webhook_id}/deliveries/{event_id}/redeliver", tag = "webhooks",
    params(
        ("webhook_id" = String, Path, description = "The webhook's id"),
        ("event_id" = String, Path, description = "The event's id")
    ),
    responses((status = 200, body = RedeliveredBody), WriteRefusals),
    security(("management_key" = ["Settings:Update"]))
)]
pub(crate) async fn redeliver_to_webhook(
    ctx: Require<UpdateSettings>,
    Path((id, event_id)): Path<(WebhookId, AuditEntryId)>,
) -> Answer<Json<RedeliveredBody>> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    let missing = || Problem::not_found("delivery", event_id);
    let old = deliveries::find(&mut tx, id, event_id).await?;
    let old = old.ok_or_else(missing)?;
    if !deliveries::redeliver(&mut tx, id, event_id, ctx.now()).await? {
        return Err(Problem::conflict(
            "delivery_pending",
            format!("the event `{event_id}` is still to be delivered; it is tried by itself"),
        ));
    }
    let new = deliveries::find(&mut tx, id, event_id).await?;
    let delivery = DeliveryView::from(new.ok_or_else(missing)?);
    let metadata = Metadata {
        event_id: &event_id.to_string(),
        event: old.event.as_str(),
        state: old.state.as_str(),
    };
    let act = Act::new("redeliver", "webhook", id).with(&metadata);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Json(RedeliveredBody { delivery })).await
}
