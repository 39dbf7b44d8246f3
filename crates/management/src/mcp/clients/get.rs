use tollgate_domain::ids::McpClientId;

use super::{McpClientBody, McpClientView, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewMcp};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Read an MCP client
#[utoipa::path(
    get, path = "/mcp/client/{mcp_client_id}", tag = "MCP",
    params(("mcp_client_id" = String, Path, description = "The client's id")),
    responses((status = 200, body = McpClientBody), Refusals),
    security(("management_key" = ["MCPGateway:View"]))
)]
pub(crate) async fn get_mcp_client(
    ctx: Require<ViewMcp>,
    Path(id): Path<McpClientId>,
) -> Answer<Json<McpClientBody>> {
    let client = McpClientView::from(&get_existing(ctx.store(), id).await?);
    Ok(Json(McpClientBody { client }))
}
