use tollgate_domain::ids::McpClientId;
use tollgate_storage::mcp::clients::{self, StoredMcpClient};

use super::content::{UpdateMcpClient, apply_update};
use super::{McpClientBody, McpClientView, get_existing, name_taken};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Require, UpdateMcp};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Change an MCP client
///
/// Another address forgets the headers that are not entered again: they are secrets of the old server.
#[utoipa::path(
    put, path = "/mcp/client/{mcp_client_id}", tag = "MCP",
    params(("mcp_client_id" = String, Path, description = "The client's id")),
    request_body = UpdateMcpClient,
    responses((status = 200, body = McpClientBody), WriteRefusals),
    security(("management_key" = ["MCPGateway:Update"]))
)]
pub(crate) async fn update_mcp_client(
    ctx: Require<UpdateMcp>,
    Path(id): Path<McpClientId>,
    Json(body): Json<UpdateMcpClient>,
) -> Answer<Json<McpClientBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let new = StoredMcpClient {
        updated_at: ctx.now(),
        ..apply_update(&old, body)?
    };
    clients::update(&mut tx, &new)
        .await
        .map_err(|error| name_taken(error, &new.name))?;
    let (before, client) = (McpClientView::from(&old), McpClientView::from(&new));
    let act = Act::new("update", "mcp_client", id);
    ctx.record(&mut tx, act.before(&before).after(&client))
        .await?;
    ctx.commit(tx, Json(McpClientBody { client })).await
}
