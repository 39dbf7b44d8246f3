use serde::{Deserialize, Serialize};
use tollgate_storage::mcp::tool_groups;
use utoipa::{IntoParams, ToSchema};

use super::ToolGroupView;
use crate::answers::Refusals;
use crate::context::{Require, ViewMcp};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which groups.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListToolGroups {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
}

/// A part of the list of tool groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolGroupList {
    tool_groups: Vec<ToolGroupView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List groups of MCP tools
#[utoipa::path(
    get, path = "/mcp/tool-groups", tag = "MCP",
    params(ListToolGroups),
    responses((status = 200, body = ToolGroupList), Refusals),
    security(("management_key" = ["MCPGateway:View"]))
)]
pub(crate) async fn list_tool_groups(
    ctx: Require<ViewMcp>,
    Query(query): Query<ListToolGroups>,
) -> Answer<Json<ToolGroupList>> {
    let page = Page::new(query.limit, query.offset)?;
    let found = tool_groups::list(ctx.store(), query.search.as_deref(), page.into()).await?;
    let tool_groups: Vec<_> = found.items.iter().map(ToolGroupView::from).collect();
    Ok(Json(ToolGroupList {
        count: count(&tool_groups),
        tool_groups,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
