use serde::Serialize;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers::keys;
use utoipa::ToSchema;

use super::ProviderKeyView;
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// The keys of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderKeyList {
    keys: Vec<ProviderKeyView>,
    count: u64,
    total_count: u64,
}

/// List the keys of a provider
#[utoipa::path(
    get, path = "/providers/{provider}/keys", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name")),
    responses((status = 200, body = ProviderKeyList), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn list_provider_keys(
    ctx: Require<ViewProviders>,
    Path(name): Path<ProviderName>,
) -> Answer<Json<ProviderKeyList>> {
    crate::providers::get_existing(ctx.store(), &name).await?;
    let keys = keys::of_provider(ctx.store(), &name).await?;
    let count = u64::try_from(keys.len()).unwrap_or(u64::MAX);
    Ok(Json(ProviderKeyList {
        keys: keys.into_iter().map(ProviderKeyView::from).collect(),
        count,
        total_count: count,
    }))
}
