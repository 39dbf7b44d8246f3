use serde::{Deserialize, Serialize};
use tollgate_storage::providers;
use utoipa::{IntoParams, ToSchema};

use super::keys::ProviderKeyView;
use super::{ProviderView, view_with};
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which providers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListProviders {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
}

/// A part of the list of providers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderList {
    providers: Vec<ProviderView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List providers
#[utoipa::path(
    get, path = "/providers", tag = "providers",
    params(ListProviders),
    responses((status = 200, body = ProviderList), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn list_providers(
    ctx: Require<ViewProviders>,
    Query(query): Query<ListProviders>,
) -> Answer<Json<ProviderList>> {
    let page = Page::new(query.limit, query.offset)?;
    // Providers are few, so they and their keys are read whole.
    let mut all = providers::list(ctx.store()).await?;
    let keys = providers::keys::list(ctx.store()).await?;
    let wanted = query.search.unwrap_or_default().to_lowercase();
    all.retain(|provider| provider.name.as_str().contains(&wanted));
    let total_count = u64::try_from(all.len()).unwrap_or(u64::MAX);
    let providers: Vec<_> = page
        .of(all)
        .map(|provider| {
            let own = keys.iter().filter(|key| key.provider == provider.name);
            view_with(&provider, own.cloned().map(ProviderKeyView::from).collect())
        })
        .collect();
    Ok(Json(ProviderList {
        count: count(&providers),
        providers,
        total_count,
        limit: page.limit,
        offset: page.offset,
    }))
}
