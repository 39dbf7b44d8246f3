use tollgate_domain::provider::ProviderName;

use super::{ProviderBody, get_existing, view};
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a provider
#[utoipa::path(
    get, path = "/providers/{provider}", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name")),
    responses((status = 200, body = ProviderBody), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn get_provider(
    ctx: Require<ViewProviders>,
    Path(name): Path<ProviderName>,
) -> Answer<Json<ProviderBody>> {
    let provider = get_existing(ctx.store(), &name).await?;
    let provider = view(ctx.store(), &provider).await?;
    Ok(Json(ProviderBody { provider }))
}
