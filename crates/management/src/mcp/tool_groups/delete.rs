use tollgate_domain::ids::ToolGroupId;
use tollgate_storage::mcp::tool_groups;

use super::{ToolGroupView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteMcp, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a group of MCP tools
///
/// Profiles that name it grant nothing through it any longer.
#[utoipa::path(
    delete, path = "/mcp/tool-groups/{tool_group_id}", tag = "MCP",
    params(("tool_group_id" = i64, Path, description = "The group's id", minimum = 0)),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["MCPGateway:Delete"]))
)]
pub(crate) async fn delete_tool_group(
    ctx: Require<DeleteMcp>,
    Path(id): Path<ToolGroupId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let group = get_existing(&mut tx, id).await?;
    tool_groups::delete(&mut tx, id).await?;
    let act = Act::new("delete", "tool_group", id).before(&ToolGroupView::from(&group));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("tool group deleted")).await
}
