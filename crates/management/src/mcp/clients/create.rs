use http::StatusCode;
use tollgate_domain::ids::McpClientId;
use tollgate_storage::mcp::clients::{
    self, ClientSecrets, ClientSettings, ConnectionType, StoredMcpClient,
};

use super::content::{CreateMcpClient, apply_update};
use super::{McpClientBody, McpClientView, name_taken};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{CreateMcp, Require};
use crate::extract::Json;
use crate::problem::Answer;

/// Add an MCP client
#[utoipa::path(
    post, path = "/mcp/client", tag = "MCP",
    request_body = CreateMcpClient,
    responses((status = 201, body = McpClientBody), WriteRefusals),
    security(("management_key" = ["MCPGateway:Create"]))
)]
pub(crate) async fn create_mcp_client(
    ctx: Require<CreateMcp>,
    Json(body): Json<CreateMcpClient>,
) -> Answer<(StatusCode, Json<McpClientBody>)> {
    let now = ctx.now();
    let empty = StoredMcpClient {
        id: McpClientId::from_uuid(ctx.parts().ids.next_uuid()),
        name: String::new(),
        connection_type: ConnectionType::Http,
        settings: ClientSettings::default(),
        secrets: ClientSecrets::default(),
        created_at: now,
        updated_at: now,
    };
    let stored = apply_update(&empty, body.into())?;
    let mut tx = ctx.begin().await?;
    clients::create(&mut tx, &stored)
        .await
        .map_err(|error| name_taken(error, &stored.name))?;
    let client = McpClientView::from(&stored);
    let act = Act::new("create", "mcp_client", stored.id).after(&client);
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, (StatusCode::CREATED, Json(McpClientBody { client })))
        .await
}
