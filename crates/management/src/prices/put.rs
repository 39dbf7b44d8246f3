use tollgate_domain::catalog::Prices;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::prices::{self, PriceOverride};

use super::{PerMillion, PerRequest, PriceBody, PriceView};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::body;
use crate::context::{Require, UpdateProviders};
use crate::extract::{Json, Path};
use crate::problem::Answer;

body! {
    /// The price of a model. It wins over the catalog, from the next request.
    struct SetPrice ignoring ["provider", "model", "has_tiers", "source", "date"] {
        /// US dollars for a million tokens of input, at most six decimals.
        input_usd_per_million: required PerMillion,
        /// For a million tokens of output.
        output_usd_per_million: required PerMillion,
        /// For a million tokens read from a cache. Left out: as input.
        cache_read_usd_per_million: optional PerMillion,
        /// For a million tokens written to a cache. Left out: as input.
        cache_write_usd_per_million: optional PerMillion,
        /// For a million tokens of reasoning. Left out: as output.
        reasoning_usd_per_million: optional PerMillion,
        /// For each request, at most twelve decimals. Left out: nothing.
        per_request_usd: optional PerRequest,
    }
}

/// Set the price of a model
#[utoipa::path(
    put, path = "/pricing/{provider}/{model}", tag = "providers",
    params(
        ("provider" = String, Path, description = "The provider's name, configured or not"),
        ("model" = String, Path, max_length = 512, description = "The model's name at the provider; a slash in it is written `%2F`"),
    ),
    request_body = SetPrice,
    responses((status = 200, body = PriceBody), WriteRefusals),
    security(("management_key" = ["Providers:Update"]))
)]
pub(crate) async fn set_price(
    ctx: Require<UpdateProviders>,
    Path((provider, model)): Path<(ProviderName, String)>,
    Json(body): Json<SetPrice>,
) -> Answer<Json<PriceBody>> {
    let mut tx = ctx.begin().await?;
    let old = prices::find(&mut tx, &provider, &model).await?;
    let new = PriceOverride {
        prices: read_prices(&body),
        provider,
        model,
        updated_at: ctx.now(),
    };
    prices::put(&mut tx, &new).await?;
    let price = view(&new);
    let mut act = Act::new("update", "price", format!("{}/{}", new.provider, new.model));
    if let Some(old) = old {
        act = act.before(&view(&old));
    }
    ctx.record(&mut tx, act.after(&price)).await?;
    ctx.commit(tx, Json(PriceBody { price })).await
}

/// What is not said costs what its nearest kin costs.
fn read_prices(body: &SetPrice) -> Prices {
    let (input, output) = (body.input_usd_per_million.0, body.output_usd_per_million.0);
    let or = |price: Option<PerMillion>, otherwise| price.map_or(otherwise, |price| price.0);
    let cache_write = or(body.cache_write_usd_per_million, input);
    Prices {
        cache_read: or(body.cache_read_usd_per_million, input),
        cache_write_5m: cache_write,
        cache_write_1h: cache_write,
        reasoning: or(body.reasoning_usd_per_million, output),
        per_request: body.per_request_usd.map_or(0, |price| price.0),
        ..Prices::flat(input, output)
    }
}

/// An override as answers show it.
pub(super) fn view(price: &PriceOverride) -> PriceView {
    let day: String = price.updated_at.to_string().chars().take(10).collect();
    PriceView::new(
        price.provider.as_str(),
        &price.model,
        &price.prices,
        "override",
        &day,
    )
}
