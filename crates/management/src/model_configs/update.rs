use tollgate_domain::ids::ModelConfigId;
use tollgate_storage::model_configs::{self, StoredModelConfig};

use super::{ModelConfigBody, get_existing, place_taken, view};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Patch, body};
use crate::context::{Require, UpdateProviders};
use crate::extract::{Json, Path};
use crate::limits::{BudgetInput, RateLimitInput, StartsAnew, merge_budgets, merge_rate_limit};
use crate::problem::Answer;

body! {
    /// A partial update of a limit on a model. What it is on cannot be changed.
    struct UpdateModelConfig ignoring [
        "id", "model_name", "provider", "scope", "scope_id", "created_at", "updated_at",
    ] {
        /// Replaces the whole list, as with access profiles.
        budgets: given Vec<BudgetInput>,
        /// Replaces the limit; null clears it.
        rate_limit: patch RateLimitInput,
    }
}

/// Change a limit on a model
#[utoipa::path(
    put, path = "/model-configs/{model_config_id}", tag = "model limits",
    params(("model_config_id" = String, Path, description = "The limit's id")),
    request_body = UpdateModelConfig,
    responses((status = 200, body = ModelConfigBody), WriteRefusals),
    security(("management_key" = ["Providers:Update"]))
)]
pub(crate) async fn update_model_config(
    ctx: Require<UpdateProviders>,
    Path(id): Path<ModelConfigId>,
    Json(body): Json<UpdateModelConfig>,
) -> Answer<Json<ModelConfigBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let new = apply(&old, &body, ctx.parts().ids.as_ref(), ctx.now());
    model_configs::update(&mut tx, &new)
        .await
        .map_err(place_taken)?;
    let act = Act::new("update", "model_config", id);
    let act = act
        .before(&view(&ctx, &old))
        .after(&view(&ctx, &new))
        .starting_anew(&StartsAnew::find_live(
            &ctx,
            &old.content,
            &new.content,
            new.created_at,
        ));
    ctx.record(&mut tx, act).await?;
    let model_config = view(&ctx, &new);
    ctx.commit(tx, Json(ModelConfigBody { model_config })).await
}

fn apply(
    old: &StoredModelConfig,
    body: &UpdateModelConfig,
    ids: &dyn tollgate_domain::IdSource,
    now: tollgate_domain::Timestamp,
) -> StoredModelConfig {
    let mut new = StoredModelConfig {
        updated_at: now,
        ..old.clone()
    };
    let limits = &old.content.limits;
    if let Some(budgets) = &body.budgets {
        new.content.limits.budgets = merge_budgets(&limits.budgets, budgets, ids);
    }
    match &body.rate_limit {
        Patch::Absent => {}
        Patch::Null => new.content.limits.rate_limit = None,
        Patch::Value(limit) => {
            let before = limits.rate_limit.as_ref();
            new.content.limits.rate_limit = Some(merge_rate_limit(before, limit, ids));
        }
    }
    new
}
