use serde::Serialize;
use tollgate_storage::request_log;
use utoipa::ToSchema;

use super::{LogQuery, LogView};
use crate::answers::Refusals;
use crate::context::{Require, ViewLogs};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// A part of the request log, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogList {
    logs: Vec<LogView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List requests
#[utoipa::path(
    get, path = "/logs", tag = "request log",
    params(LogQuery),
    responses((status = 200, body = LogList), Refusals),
    security(("management_key" = ["Logs:View"]))
)]
pub(crate) async fn list_logs(
    ctx: Require<ViewLogs>,
    Query(query): Query<LogQuery>,
) -> Answer<Json<LogList>> {
    let page = Page::new(query.limit, query.offset)?;
    let filter = query.filter()?;
    let found = request_log::list(ctx.store(), &filter, page.into()).await?;
    let logs: Vec<_> = found.into_iter().map(LogView::from).collect();
    Ok(Json(LogList {
        count: count(&logs),
        logs,
        total_count: request_log::count(ctx.store(), &filter).await?,
        limit: page.limit,
        offset: page.offset,
    }))
}
