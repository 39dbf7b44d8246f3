use serde::{Deserialize, Serialize};
use tollgate_storage::model_configs;
use utoipa::{IntoParams, ToSchema};

use super::{ModelConfigView, view};
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which limits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListModelConfigs {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the model's or provider's name, of the scope, or of the id of its key or user.
    search: Option<String>,
}

/// A part of the list of limits on models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelConfigList {
    model_configs: Vec<ModelConfigView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List limits on models
#[utoipa::path(
    get, path = "/model-configs", tag = "model limits",
    params(ListModelConfigs),
    responses((status = 200, body = ModelConfigList), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn list_model_configs(
    ctx: Require<ViewProviders>,
    Query(query): Query<ListModelConfigs>,
) -> Answer<Json<ModelConfigList>> {
    let page = Page::new(query.limit, query.offset)?;
    let wanted = query.search.as_deref();
    let found = model_configs::list(ctx.store(), wanted, page.into()).await?;
    let model_configs: Vec<_> = found.items.iter().map(|one| view(&ctx, one)).collect();
    Ok(Json(ModelConfigList {
        count: count(&model_configs),
        model_configs,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
