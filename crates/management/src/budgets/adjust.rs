use serde::Serialize;
use tollgate_domain::error::MeterReading;
use tollgate_domain::ids::BudgetId;
use tollgate_domain::snapshot::FoundBudget;
use tollgate_storage::profiles;
use utoipa::ToSchema;

use crate::answers::WriteRefusals;
use crate::body::{Delta, Reason, body};
use crate::context::{Context, Require, UpdateAccessProfiles};
use crate::corrections::{Wrongness, catch_up, note};
use crate::extract::{Json, Path};
use crate::meters::LimitReading;
use crate::problem::{Answer, Problem};

body! {
    /// A credit or a debit.
    struct AdjustBudget {
        /// US dollars: more than 0 debits (adds to what is used), less than 0 credits.
        delta: required Delta,
        /// Why, for the audit trail: 1 to 1000 characters.
        reason: required Reason,
    }
}

/// The budget with its new numbers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdjustedBudget {
    budget: LimitReading,
}

/// Credit or debit a budget
///
/// Changes what the line has used in its running window. Any line of any holder: a copy of a profile, a provider or
/// model inside one, a virtual key, a team, a business unit, a customer, a limit on a model, a provider.
#[utoipa::path(
    post, path = "/budgets/{budget_id}/adjust", tag = "corrections",
    params(("budget_id" = String, Path, description = "The id of the budget line")),
    request_body = AdjustBudget,
    responses((status = 200, body = AdjustedBudget), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn adjust_budget(
    ctx: Require<UpdateAccessProfiles>,
    Path(id): Path<BudgetId>,
    Json(body): Json<AdjustBudget>,
) -> Answer<Json<AdjustedBudget>> {
    let found = ctx.parts().policy.snapshot().budget(id);
    let Some(FoundBudget {
        meter,
        profile,
        user,
    }) = found
    else {
        return Err(unknown(&ctx, id).await?);
    };
    let (note, now) = (note(&ctx, body.reason, profile, user), ctx.now());
    let count = ctx
        .parts()
        .live
        .adjust(&meter, body.delta.nanos(), note, now)
        .map_err(|error| error.into_problem("/delta"))?;
    catch_up(&ctx).await;
    Ok(Json(AdjustedBudget {
        budget: MeterReading::new(&meter, now, count.used, count.reserved).into(),
    }))
}

/// A line that nobody spends from: it does not exist, or it is a template's.
async fn unknown(ctx: &Context, id: BudgetId) -> Answer<Problem> {
    let mut problem = Problem::not_found("budget", id);
    if let Some(profile) = profiles::with_budget(ctx.store(), id).await? {
        problem.message = format!(
            "the budget `{id}` is a line of the access profile `{profile}`, which has no usage; adjust the line of a holder's copy"
        );
    }
    Ok(problem)
}
