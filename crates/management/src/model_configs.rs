//! Limits on models, wherever they are used.

mod create;
mod delete;
mod get;
mod list;
mod update;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::ModelConfigId;
use tollgate_storage::model_configs::{self, StoredModelConfig};
use tollgate_storage::{Constraint, Db, StorageError};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::context::Context;
use crate::limits::{BudgetView, RateLimitView, Readings};
use crate::operations::Operations;
use crate::problem::{Answer, Problem};
use crate::provider_configs::{view_budgets, view_rate_limit};

/// The operations on limits on models.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_model_configs, create::create_model_config))
        .routes(|| {
            routes!(
                get::get_model_config,
                update::update_model_config,
                delete::delete_model_config
            )
        })
}

/// A limit on a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelConfigView {
    id: String,
    /// `*`, a name, or `regex:…`.
    model_name: String,
    /// Only at this provider; null for any.
    provider: Option<String>,
    /// `global`, `virtual_key` or `user`.
    scope: &'static str,
    /// The id of the key or user.
    scope_id: Option<String>,
    budgets: Vec<BudgetView>,
    rate_limit: Option<RateLimitView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One limit on a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelConfigBody {
    model_config: ModelConfigView,
}

/// The limit, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: ModelConfigId) -> Answer<StoredModelConfig> {
    model_configs::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("model config", id))
}

/// The limit as answers show it, with its live usage.
fn view(ctx: &Context, config: &StoredModelConfig) -> ModelConfigView {
    let limits = &config.content.limits;
    let readings = Readings::of(ctx, &config.content, config.created_at);
    ModelConfigView {
        id: config.id.to_string(),
        model_name: config.model_name.clone(),
        provider: config.provider.as_ref().map(ToString::to_string),
        scope: config.scope.as_str(),
        scope_id: config.scope.id_text(),
        budgets: view_budgets(limits, "total", &|_| None, &readings),
        rate_limit: view_rate_limit(limits, &readings),
        created_at: config.created_at,
        updated_at: config.updated_at,
    }
}

/// A taken place as the 409 it is.
fn place_taken(error: StorageError) -> Problem {
    if error.conflicts_with(Constraint::ModelConfigPlace) {
        Problem::conflict(
            "place_taken",
            "there is a limit for the same model, provider and scope already; change that one",
        )
        .at("/model_name")
    } else {
        error.into()
    }
}
