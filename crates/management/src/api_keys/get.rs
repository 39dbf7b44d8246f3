use tollgate_domain::ids::ManagementKeyId;

use super::{ApiKeyBody, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewApiKeys};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a management key
#[utoipa::path(
    get, path = "/api-keys/{api_key_id}", tag = "management keys",
    params(("api_key_id" = String, Path, description = "The key's id")),
    responses((status = 200, body = ApiKeyBody), Refusals),
    security(("management_key" = ["APIKeys:View"]))
)]
pub(crate) async fn get_api_key(
    ctx: Require<ViewApiKeys>,
    Path(id): Path<ManagementKeyId>,
) -> Answer<Json<ApiKeyBody>> {
    let api_key = get_existing(ctx.store(), id).await?.into();
    Ok(Json(ApiKeyBody { api_key }))
}
