use tollgate_domain::ids::ModelConfigId;

use super::{ModelConfigBody, get_existing, view};
use crate::answers::Refusals;
use crate::context::{Require, ViewProviders};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a limit on a model
#[utoipa::path(
    get, path = "/model-configs/{model_config_id}", tag = "model limits",
    params(("model_config_id" = String, Path, description = "The limit's id")),
    responses((status = 200, body = ModelConfigBody), Refusals),
    security(("management_key" = ["Providers:View"]))
)]
pub(crate) async fn get_model_config(
    ctx: Require<ViewProviders>,
    Path(id): Path<ModelConfigId>,
) -> Answer<Json<ModelConfigBody>> {
    let config = get_existing(ctx.store(), id).await?;
    let model_config = view(&ctx, &config);
    Ok(Json(ModelConfigBody { model_config }))
}
