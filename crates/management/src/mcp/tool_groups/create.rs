use http::StatusCode;
use tollgate_storage::mcp::tool_groups::{self, ClientTools};

use super::{ClientToolsInput, ToolGroupBody, ToolGroupView, name_taken};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{CreateMcp, Require};
use crate::extract::Json;
use crate::problem::Answer;

body! {
    /// A new group of MCP tools.
    struct CreateToolGroup ignoring ["id", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique without regard to case.
        name: required Name,
        /// For people.
        description: optional Description,
        /// The tools, client by client.
        tools: optional Vec<ClientToolsInput>,
    }
}

/// Create a group of MCP tools
#[utoipa::path(
    post, path = "/mcp/tool-groups", tag = "MCP",
    request_body = CreateToolGroup,
    responses((status = 201, body = ToolGroupBody), WriteRefusals),
    security(("management_key" = ["MCPGateway:Create"]))
)]
pub(crate) async fn create_tool_group(
    ctx: Require<CreateMcp>,
    Json(body): Json<CreateToolGroup>,
) -> Answer<(StatusCode, Json<ToolGroupBody>)> {
    let tools = body.tools.unwrap_or_default();
    let tools: Vec<_> = tools.into_iter().map(ClientTools::from).collect();
    let mut tx = ctx.begin().await?;
    let description = body.description.as_deref();
    let group = tool_groups::create(&mut tx, &body.name, description, &tools, ctx.now())
        .await
        .map_err(|error| name_taken(error, &body.name))?;
    let tool_group = ToolGroupView::from(&group);
    let act = Act::new("create", "tool_group", group.id).after(&tool_group);
    ctx.record(&mut tx, act).await?;
    ctx.commit(
        tx,
        (StatusCode::CREATED, Json(ToolGroupBody { tool_group })),
    )
    .await
}
