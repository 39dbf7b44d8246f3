use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which models.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListModels {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
    /// Only of this provider.
    provider: Option<String>,
}

/// A part of the list of models.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    models: Vec<ModelView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// A model that a configured provider is known to offer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelView {
    /// `provider/model`, as requests name it.
    id: String,
    provider: String,
    name: String,
    /// Most tokens of input and output together, when known.
    context_window: Option<u64>,
    /// Most tokens of output, when known.
    max_output_tokens: Option<u64>,
    /// Whether a price is known.
    has_price: bool,
}

/// List the models of the configured providers
///
/// What the catalog and the providers' own keys name.
#[utoipa::path(
    get, path = "/models", tag = "providers",
    params(ListModels),
    responses((status = 200, body = ModelList), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn list_models(
    ctx: Require<ViewProviders>,
    Query(query): Query<ListModels>,
) -> Answer<Json<ModelList>> {
    let page = Page::new(query.limit, query.offset)?;
    let snapshot = ctx.parts().policy.snapshot();
    let wanted = query.search.unwrap_or_default().to_lowercase();
    let of_provider = |name: &str| query.provider.as_deref().is_none_or(|only| only == name);
    let mut found = Vec::new();
    for provider in snapshot
        .providers()
        .filter(|one| of_provider(one.name.as_str()))
    {
        let mut names = snapshot.catalog().models_of(provider);
        for key in &provider.keys {
            names.extend(key.models.exact_names().map(str::to_owned));
            names.extend(key.aliases.keys().map(|alias| alias.to_lowercase()));
        }
        names.retain(|name| name.contains(&wanted));
        names.sort();
        names.dedup();
        found.extend(names.into_iter().map(|name| (provider.clone(), name)));
    }
    let total_count = u64::try_from(found.len()).unwrap_or(u64::MAX);
    let models: Vec<_> = page
        .of(found)
        .map(|(provider, name)| {
            let info = snapshot.catalog().find(&provider, &name);
            ModelView {
                id: format!("{}/{name}", provider.name),
                provider: provider.name.to_string(),
                context_window: info.as_ref().and_then(|info| info.context_window),
                max_output_tokens: info.as_ref().and_then(|info| info.max_output_tokens),
                has_price: info.is_some_and(|info| info.price.is_some()),
                name,
            }
        })
        .collect();
    Ok(Json(ModelList {
        count: count(&models),
        models,
        total_count,
        limit: page.limit,
        offset: page.offset,
    }))
}
