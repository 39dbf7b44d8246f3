use tollgate_domain::ids::McpClientId;
use tollgate_storage::mcp::clients;

use super::{McpClientView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteMcp, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete an MCP client
///
/// What profiles grant of it stays written and grants nothing.
#[utoipa::path(
    delete, path = "/mcp/client/{mcp_client_id}", tag = "MCP",
    params(("mcp_client_id" = String, Path, description = "The client's id")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["MCPGateway:Delete"]))
)]
pub(crate) async fn delete_mcp_client(
    ctx: Require<DeleteMcp>,
    Path(id): Path<McpClientId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let client = get_existing(&mut tx, id).await?;
    clients::delete(&mut tx, id).await?;
    let act = Act::new("delete", "mcp_client", id).before(&McpClientView::from(&client));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("MCP client deleted")).await
}
