//! MCP clients: one for each server.

mod content;
mod create;
mod delete;
mod get;
mod list;
mod update;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::McpClientId;
use tollgate_storage::mcp::clients::{self, ConnectionType, StoredMcpClient};
use tollgate_storage::{Constraint, Db, StorageError};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::limits::money;
use crate::operations::Operations;
use crate::problem::{Answer, Problem};
use crate::providers::MASK;

pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_mcp_clients))
        .routes(|| routes!(create::create_mcp_client))
        .routes(|| {
            routes!(
                get::get_mcp_client,
                update::update_mcp_client,
                delete::delete_mcp_client
            )
        })
}

/// An MCP client. Its address, headers and environment are secrets and shown as masks, which keep the secret when they
/// are sent back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct McpClientView {
    id: String,
    name: String,
    /// `http`, `sse` or `stdio`.
    connection_type: &'static str,
    /// A mask; null for `stdio`.
    connection_string: Option<&'static str>,
    /// Only for `stdio`.
    stdio_config: Option<StdioView>,
    headers: BTreeMap<String, &'static str>,
    /// `*` for all of them.
    tools_to_execute: Vec<String>,
    /// US dollars for a call of a tool.
    #[schema(value_type = BTreeMap<String, f64>)]
    tool_pricing: BTreeMap<String, Box<RawValue>>,
    /// `connected`, `disconnected` or `error`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// The program of a `stdio` client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StdioView {
    command: String,
    args: Vec<String>,
    /// Names, with masks in the place of values.
    envs: BTreeMap<String, &'static str>,
}

/// One MCP client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct McpClientBody {
    client: McpClientView,
}

impl From<&StoredMcpClient> for McpClientView {
    fn from(client: &StoredMcpClient) -> Self {
        let masked = |secrets: &[(String, secrecy::SecretString)]| {
            secrets
                .iter()
                .map(|(name, _)| (name.clone(), MASK))
                .collect()
        };
        let (settings, secrets) = (&client.settings, &client.secrets);
        Self {
            id: client.id.to_string(),
            name: client.name.clone(),
            connection_type: client.connection_type.as_str(),
            connection_string: secrets.connection_string.as_ref().map(|_| MASK),
            stdio_config: (client.connection_type == ConnectionType::Stdio).then(|| StdioView {
                command: settings.command.clone().unwrap_or_default(),
                args: settings.args.clone(),
                envs: masked(&secrets.envs),
            }),
            headers: masked(&secrets.headers),
            tools_to_execute: settings.tools_to_execute.clone(),
            tool_pricing: settings
                .tool_pricing
                .iter()
                .map(|(tool, price)| (tool.clone(), money(*price)))
                .collect(),
            state: "disconnected",
            created_at: client.created_at,
            updated_at: client.updated_at,
        }
    }
}

/// The client, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: McpClientId) -> Answer<StoredMcpClient> {
    clients::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("MCP client", id))
}

/// A taken name as the 409 it is.
fn name_taken(error: StorageError, name: &str) -> Problem {
    if error.conflicts_with(Constraint::McpClientName) {
        Problem::conflict(
            "name_taken",
            format!("an MCP client is named `{name}` already"),
        )
        .at("/name")
    } else {
        error.into()
    }
}
