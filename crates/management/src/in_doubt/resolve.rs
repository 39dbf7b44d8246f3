use serde::Serialize;
use tollgate_domain::Usd;
use tollgate_domain::ids::RequestId;
use tollgate_storage::in_doubt;
use utoipa::ToSchema;

use super::InDoubtView;
use crate::answers::WriteRefusals;
use crate::body::{Reason, body};
use crate::context::{Require, UpdateLogs};
use crate::corrections::{Wrongness, catch_up, note};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

body! {
    /// What a request in doubt really cost.
    struct ResolveInDoubt {
        /// US dollars; 0 writes it off.
        amount: required Usd,
        /// Why, for the audit trail: 1 to 1000 characters.
        reason: required Reason,
    }
}

/// The amount, and what it was corrected to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResolvedInDoubt {
    in_doubt: InDoubtView,
}

/// Correct an amount in doubt
///
/// The charge is replaced by `amount`, on every budget that was charged and in the windows that were charged, and in the
/// request log. It can be done once.
#[utoipa::path(
    post, path = "/in-doubt/{request_id}/resolve", tag = "corrections",
    params(("request_id" = String, Path, description = "The id of the request")),
    request_body = ResolveInDoubt,
    responses((status = 200, body = ResolvedInDoubt), WriteRefusals),
    security(("management_key" = ["Logs:Update"]))
)]
pub(crate) async fn resolve_in_doubt(
    ctx: Require<UpdateLogs>,
    Path(id): Path<RequestId>,
    Json(body): Json<ResolveInDoubt>,
) -> Answer<Json<ResolvedInDoubt>> {
    let mut row = in_doubt::find(ctx.store(), id)
        .await?
        .ok_or_else(|| Problem::not_found("amount in doubt", id))?;
    let facts = &row.charged.facts;
    let note = note(&ctx, body.reason, facts.profile, facts.user);
    let now = ctx.now();
    ctx.parts()
        .live
        .resolve_in_doubt(id, body.amount, note, now)
        .map_err(|error| error.into_problem("/amount"))?;
    catch_up(&ctx).await;
    // Of a repetition the row may know by itself.
    row.resolved.get_or_insert((now, body.amount));
    Ok(Json(ResolvedInDoubt {
        in_doubt: InDoubtView::new(row, &ctx.parts().policy.snapshot()),
    }))
}
