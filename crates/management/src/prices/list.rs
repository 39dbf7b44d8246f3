use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::PriceView;
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which prices.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListPrices {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the model's name.
    search: Option<String>,
    /// Only of this provider.
    provider: Option<String>,
}

/// A part of the list of prices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceList {
    prices: Vec<PriceView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List prices
///
/// What the catalog knows, with the overrides in the place of what they replace.
#[utoipa::path(
    get, path = "/pricing", tag = "providers",
    params(ListPrices),
    responses((status = 200, body = PriceList), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn list_prices(
    ctx: Require<ViewProviders>,
    Query(query): Query<ListPrices>,
) -> Answer<Json<PriceList>> {
    let page = Page::new(query.limit, query.offset)?;
    let snapshot = ctx.parts().policy.snapshot();
    let wanted = query.search.unwrap_or_default().to_lowercase();
    let found: Vec<_> = snapshot
        .catalog()
        .entries()
        .filter(|entry| {
            query
                .provider
                .as_deref()
                .is_none_or(|only| only == &*entry.provider)
        })
        .filter(|entry| entry.model.to_lowercase().contains(&wanted))
        .filter(|entry| entry.info.price.is_some())
        .collect();
    let total_count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let prices: Vec<_> = page
        .of(found)
        .filter_map(|entry| PriceView::of_catalog(&entry.provider, &entry.model, &entry.info))
        .collect();
    Ok(Json(PriceList {
        count: count(&prices),
        prices,
        total_count,
        limit: page.limit,
        offset: page.offset,
    }))
}
