use serde::Serialize;
use tollgate_domain::ids::RequestId;
use tollgate_storage::request_log;
use utoipa::ToSchema;

use super::LogView;
use crate::answers::Refusals;
use crate::context::{Require, ViewLogs};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// One request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogBody {
    log: LogView,
}

/// Read a request
#[utoipa::path(
    get, path = "/logs/{request_id}", tag = "request log",
    params(("request_id" = String, Path, description = "The request's id")),
    responses((status = 200, body = LogBody), Refusals),
    security(("management_key" = ["Logs:View"]))
)]
pub(crate) async fn get_log(
    ctx: Require<ViewLogs>,
    Path(id): Path<RequestId>,
) -> Answer<Json<LogBody>> {
    let log = request_log::find(ctx.store(), id)
        .await?
        .ok_or_else(|| Problem::not_found("request", id))?
        .into();
    Ok(Json(LogBody { log }))
}
