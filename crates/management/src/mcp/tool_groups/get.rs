use tollgate_domain::ids::ToolGroupId;

use super::{ToolGroupBody, ToolGroupView, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewMcp};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read a group of MCP tools
#[utoipa::path(
    get, path = "/mcp/tool-groups/{tool_group_id}", tag = "MCP",
    params(("tool_group_id" = i64, Path, description = "The group's id", minimum = 0)),
    responses((status = 200, body = ToolGroupBody), Refusals),
    security(("management_key" = ["MCPGateway:View"]))
)]
pub(crate) async fn get_tool_group(
    ctx: Require<ViewMcp>,
    Path(id): Path<ToolGroupId>,
) -> Answer<Json<ToolGroupBody>> {
    let tool_group = ToolGroupView::from(&get_existing(ctx.store(), id).await?);
    Ok(Json(ToolGroupBody { tool_group }))
}
