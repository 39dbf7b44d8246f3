use serde::Serialize;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers::keys;
use utoipa::ToSchema;

use super::ProviderKeyView;
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, PartQuery, Path, Query, count};
use crate::problem::Answer;

/// The keys of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderKeyList {
    keys: Vec<ProviderKeyView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List the keys of a provider
#[utoipa::path(
    get, path = "/providers/{provider}/keys", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name"), PartQuery),
    responses((status = 200, body = ProviderKeyList), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn list_provider_keys(
    ctx: Require<ViewProviders>,
    Path(name): Path<ProviderName>,
    Query(query): Query<PartQuery>,
) -> Answer<Json<ProviderKeyList>> {
    crate::providers::get_existing(ctx.store(), &name).await?;
    let keys = keys::of_provider(ctx.store(), &name).await?;
    let part = query.of(keys, |key| vec![key.name.clone(), key.id.to_string()])?;
    Ok(Json(ProviderKeyList {
        count: count(&part.items),
        keys: part.items.into_iter().map(ProviderKeyView::from).collect(),
        total_count: part.total_count,
        limit: part.limit,
        offset: part.offset,
    }))
}
