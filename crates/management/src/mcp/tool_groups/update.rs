use tollgate_domain::ids::ToolGroupId;
use tollgate_storage::mcp::tool_groups::{self, ClientTools, ToolGroup};

use super::{ClientToolsInput, ToolGroupBody, ToolGroupView, get_existing, name_taken};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{Require, UpdateMcp};
use crate::extract::{About, Json, Path};
use crate::problem::Answer;

body! {
    /// A partial update of a group of MCP tools.
    struct UpdateToolGroup ignoring ["id", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique without regard to case.
        name: given Name,
        /// Null clears it.
        description: patch Description,
        /// Replaces the whole list.
        tools: given Vec<ClientToolsInput>,
    }
}

/// Change a group of MCP tools
#[utoipa::path(
    put, path = "/mcp/tool-groups/{tool_group_id}", tag = "MCP",
    params(("tool_group_id" = i64, Path, description = "The group's id", minimum = 0)),
    request_body = UpdateToolGroup,
    responses((status = 200, body = ToolGroupBody), WriteRefusals),
    security(("management_key" = ["MCPGateway:Update"]))
)]
pub(crate) async fn update_tool_group(
    ctx: Require<UpdateMcp>,
    Path(id): Path<ToolGroupId>,
    About { body, .. }: About<ToolGroupId, UpdateToolGroup>,
) -> Answer<Json<ToolGroupBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let tools = body
        .tools
        .map(|tools| tools.into_iter().map(ClientTools::from).collect());
    let new = ToolGroup {
        name: body.name.map_or_else(|| old.name.clone(), String::from),
        description: body.description.apply_to(old.description.clone()),
        tools: tools.unwrap_or_else(|| old.tools.clone()),
        updated_at: ctx.now(),
        ..old.clone()
    };
    tool_groups::update(&mut tx, &new)
        .await
        .map_err(|error| name_taken(error, &new.name))?;
    let (before, tool_group) = (ToolGroupView::from(&old), ToolGroupView::from(&new));
    let act = Act::new("update", "tool_group", id);
    ctx.record(&mut tx, act.before(&before).after(&tool_group))
        .await?;
    ctx.commit(tx, Json(ToolGroupBody { tool_group })).await
}
