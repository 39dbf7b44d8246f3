use tollgate_domain::ids::ModelConfigId;
use tollgate_storage::model_configs;

use super::{get_existing, view};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteProviders, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a limit on a model
#[utoipa::path(
    delete, path = "/model-configs/{model_config_id}", tag = "model limits",
    params(("model_config_id" = String, Path, description = "The limit's id")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Providers:Delete"]))
)]
pub(crate) async fn delete_model_config(
    ctx: Require<DeleteProviders>,
    Path(id): Path<ModelConfigId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let config = get_existing(&mut tx, id).await?;
    model_configs::delete(&mut tx, id).await?;
    let act = Act::new("delete", "model_config", id).before(&view(&ctx, &config));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("model config deleted")).await
}
