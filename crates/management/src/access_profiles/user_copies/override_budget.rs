use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::Usd;
use tollgate_domain::access::profile::{ProfileContent, UserCopy};
use tollgate_domain::ids::{BudgetId, ProfileId, UserId};
use tollgate_domain::limits::{BudgetLine, LimitSet};
use tollgate_storage::copies::overrides::{self, BudgetOverride};
use tollgate_storage::{Tx, copies};
use utoipa::ToSchema;

use super::{boost_view, meters, readings};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{FromJson, Node, Problems, Within, body};
use crate::context::{Context, DeleteAccessProfiles, Require, UpdateAccessProfiles};
use crate::extract::{Json, Path};
use crate::limits::{BudgetView, money};
use crate::problem::{Answer, Problem};

body! {
    /// A raise of a budget. Usage and schedule stay.
    struct OverrideBudget {
        /// US dollars on top of `max_limit`, more than 0.
        amount: required Raise,
        /// `cycles` or `forever`.
        mode: required OverrideMode,
        /// For how many windows, the running one included; only with `cycles`, at least 1.
        cycles: optional Within<1, 1_000>,
    }
    check |body| {
        match mode {
            Some(OverrideMode::Cycles) if !body.has("cycles") => {
                body.inconsistent("cycles", "the mode `cycles` needs `cycles`");
            }
            Some(OverrideMode::Forever) if body.has("cycles") => {
                body.inconsistent("cycles", "`cycles` goes only with the mode `cycles`");
            }
            _ => {}
        }
    }
}

/// US dollars, more than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Raise(Usd);

impl FromJson for Raise {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let amount = Usd::from_json(node, problems)?;
        if amount == Usd::ZERO {
            problems.invalid(node.pointer.as_str(), "the amount must be more than 0");
            return None;
        }
        Some(Self(amount))
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::Number)
            .exclusive_minimum(Some(0.0))
            .maximum(Some(9_223_372_036.0))
            .into()
    }
}

/// How long a raise lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OverrideMode {
    Cycles,
    Forever,
}

impl FromJson for OverrideMode {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match node.text(problems, "`cycles` or `forever`")?.as_str() {
            "cycles" => Some(Self::Cycles),
            "forever" => Some(Self::Forever),
            _ => {
                problems.invalid(node.pointer.as_str(), "the mode is `cycles` or `forever`");
                None
            }
        }
    }

    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .enum_values(Some(["cycles", "forever"]))
            .into()
    }
}

/// The budget, and its limit with the raise.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OverriddenBudget {
    budget: BudgetView,
    #[schema(value_type = f64)]
    effective_max_limit: Box<RawValue>,
}

/// Raise a budget of a user's copy
#[utoipa::path(
    put, path = "/users/{user_id}/access-profiles/{profile_id}/budgets/{budget_id}/override",
    tag = "access profiles",
    params(
        ("user_id" = String, Path, description = "The user's id"),
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        ("budget_id" = String, Path, description = "The id of the copy's budget line"),
    ),
    request_body = OverrideBudget,
    responses((status = 200, body = OverriddenBudget), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn set_budget_override(
    ctx: Require<UpdateAccessProfiles>,
    Path((user, profile, budget)): Path<(UserId, ProfileId, BudgetId)>,
    Json(body): Json<OverrideBudget>,
) -> Answer<Json<OverriddenBudget>> {
    let mut tx = ctx.begin().await?;
    let copy = get_copy(&mut tx, user, profile).await?;
    find_budget(&copy.content, budget)?;
    let cycles = body.cycles.map(|cycles| cycles.0);
    let window = meters(&copy)?
        .into_iter()
        .find(|meter| meter.id.line == budget.uuid())
        .and_then(|meter| meter.window.clone());
    let raise = BudgetOverride {
        budget,
        amount: body.amount.0,
        cycles,
        ends_at: cycles
            .zip(window)
            .map(|(cycles, window)| window.end_after(ctx.now(), cycles.saturating_sub(1))),
        created_at: ctx.now(),
    };
    overrides::put(&mut tx, copy.id, &raise).await?;
    finish(&ctx, tx, &copy, budget).await
}

/// Take the raise of a budget away
#[utoipa::path(
    delete, path = "/users/{user_id}/access-profiles/{profile_id}/budgets/{budget_id}/override",
    tag = "access profiles",
    params(
        ("user_id" = String, Path, description = "The user's id"),
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        ("budget_id" = String, Path, description = "The id of the copy's budget line"),
    ),
    responses((status = 200, body = OverriddenBudget), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Delete"]))
)]
pub(crate) async fn delete_budget_override(
    ctx: Require<DeleteAccessProfiles>,
    Path((user, profile, budget)): Path<(UserId, ProfileId, BudgetId)>,
) -> Answer<Json<OverriddenBudget>> {
    let mut tx = ctx.begin().await?;
    let copy = get_copy(&mut tx, user, profile).await?;
    find_budget(&copy.content, budget)?;
    if !overrides::remove(&mut tx, copy.id, budget).await? {
        return Err(Problem::not_found("override of the budget", budget));
    }
    finish(&ctx, tx, &copy, budget).await
}

async fn get_copy(tx: &mut Tx, user: UserId, profile: ProfileId) -> Answer<UserCopy> {
    copies::find_of(tx, user, profile)
        .await?
        .filter(|stored| stored.detached_at.is_none())
        .map(|stored| stored.copy)
        .ok_or_else(|| Problem::not_found("access profile held by this user", profile))
}

/// The budget line, wherever in the copy it stands, with its scope.
fn find_budget(content: &ProfileContent, id: BudgetId) -> Answer<(&BudgetLine, String)> {
    let in_set = |limits: &'_ LimitSet| limits.budgets.iter().position(|line| line.id == id);
    let mut places = vec![(&content.limits, "total".to_owned())];
    for config in &content.provider_configs {
        let scope = format!("provider:{}", config.provider_name);
        for line in &config.model_budgets {
            places.push((&line.limits, format!("{scope}/model:{}", line.model)));
        }
        places.push((&config.limits, scope));
    }
    places
        .into_iter()
        .find_map(|(limits, scope)| {
            let line = in_set(limits).and_then(|at| limits.budgets.get(at))?;
            Some((line, scope))
        })
        .ok_or_else(|| Problem::not_found("budget of this copy", id))
}

/// Records the act, stores it and shows the budget as it is now.
async fn finish(
    ctx: &Context,
    mut tx: Tx,
    before: &UserCopy,
    budget: BudgetId,
) -> Answer<Json<OverriddenBudget>> {
    let (user, profile) = (before.user_id, before.parent_profile_id);
    let copy = get_copy(&mut tx, user, profile).await?;
    let old = view_budget(ctx, before, budget)?;
    let new = view_budget(ctx, &copy, budget)?;
    let act = Act::new("override", "access_profile", profile)
        .about_profile(profile)
        .about_user(user)
        .before(&old)
        .after(&new);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Json(new)).await
}

fn view_budget(ctx: &Context, copy: &UserCopy, budget: BudgetId) -> Answer<OverriddenBudget> {
    let (line, scope) = find_budget(&copy.content, budget)?;
    let boost = boost_view(copy, budget);
    let now = ctx.now();
    let raise = copy
        .overrides
        .get(&budget)
        .filter(|boost| boost.until.is_none_or(|until| now < until))
        .map_or(Usd::ZERO, |boost| Usd::from_nanos(boost.amount));
    Ok(OverriddenBudget {
        budget: BudgetView::new(line, &scope, boost, &readings(ctx, copy)?),
        effective_max_limit: money(line.max_limit.saturating_add(raise)),
    })
}
