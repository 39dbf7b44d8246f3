use serde::{Deserialize, Serialize};
use tollgate_storage::mcp::clients;
use utoipa::{IntoParams, ToSchema};

use super::McpClientView;
use crate::answers::Refusals;
use crate::context::{Require, ViewMcp};
use crate::extract::{Json, Page, Query, count};
use crate::problem::Answer;

/// Which clients.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListMcpClients {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the name.
    search: Option<String>,
}

/// A part of the list of MCP clients.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct McpClientList {
    clients: Vec<McpClientView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// List MCP clients
#[utoipa::path(
    get, path = "/mcp/clients", tag = "MCP",
    params(ListMcpClients),
    responses((status = 200, body = McpClientList), Refusals),
    security(("management_key" = ["MCPGateway:View"]))
)]
pub(crate) async fn list_mcp_clients(
    ctx: Require<ViewMcp>,
    Query(query): Query<ListMcpClients>,
) -> Answer<Json<McpClientList>> {
    let page = Page::new(query.limit, query.offset)?;
    let found = clients::list(ctx.store(), query.search.as_deref(), page.into()).await?;
    let clients: Vec<_> = found.items.iter().map(McpClientView::from).collect();
    Ok(Json(McpClientList {
        count: count(&clients),
        clients,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
