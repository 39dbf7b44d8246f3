use serde::{Deserialize, Serialize};
use tollgate_storage::management_keys;
use utoipa::{IntoParams, ToSchema};

use super::ApiKeyView;
use crate::answers::Refusals;
use crate::context::{Require, ViewApiKeys};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which keys.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListApiKeys {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name or description.
    search: Option<String>,
}

/// A part of the list of management keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApiKeyList {
    api_keys: Vec<ApiKeyView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List management keys
#[utoipa::path(
    get, path = "/api-keys", tag = "management keys",
    params(ListApiKeys),
    responses((status = 200, body = ApiKeyList), Refusals),
    security(("management_key" = ["APIKeys:View"]))
)]
pub(crate) async fn list_api_keys(
    ctx: Require<ViewApiKeys>,
    Query(query): Query<ListApiKeys>,
) -> Answer<Json<ApiKeyList>> {
    let page = Page::new(query.limit, query.offset)?;
    let wanted = query.search.unwrap_or_default().trim().to_lowercase();
    // Management keys are few, so they are read whole.
    let mut all = management_keys::all(ctx.store()).await?;
    all.retain(|key| {
        let mut texts = [Some(&key.name), key.description.as_ref()]
            .into_iter()
            .flatten();
        texts.any(|text| text.to_lowercase().contains(&wanted))
    });
    let total_count = count(&all);
    let api_keys: Vec<_> = page.of(all).map(ApiKeyView::from).collect();
    Ok(Json(ApiKeyList {
        count: count(&api_keys),
        api_keys,
        total_count,
        limit: page.limit,
        offset: page.offset,
    }))
}
