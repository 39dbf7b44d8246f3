//! MCP clients and groups of their tools, as policy sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{McpClientId, ToolGroupId};
use crate::money::Usd;

/// An MCP client: a server whose tools can be granted.
#[derive(Debug, Clone)]
pub struct McpClient {
    /// Its id.
    pub id: McpClientId,
    /// Unique without regard to case.
    pub name: Arc<str>,
    /// The tools that may be used at all; `*` is all of them.
    pub tools_to_execute: Vec<String>,
    /// What a call of a tool costs; nothing when it is not in here.
    pub tool_pricing: BTreeMap<String, Usd>,
}

/// The tools in one group, by their client.
pub type GroupedTools = BTreeMap<McpClientId, Vec<String>>;

/// Every MCP client and every group of tools. They are few.
#[derive(Debug, Clone, Default)]
pub struct McpCatalog {
    clients: BTreeMap<McpClientId, McpClient>,
    groups: BTreeMap<ToolGroupId, GroupedTools>,
}

impl McpCatalog {
    /// A catalog of these.
    pub fn new(
        clients: impl IntoIterator<Item = McpClient>,
        groups: impl IntoIterator<Item = (ToolGroupId, GroupedTools)>,
    ) -> Self {
        Self {
            clients: clients
                .into_iter()
                .map(|client| (client.id, client))
                .collect(),
            groups: groups.into_iter().collect(),
        }
    }

    /// All clients, by their ids.
    pub fn clients(&self) -> impl Iterator<Item = &McpClient> {
        self.clients.values()
    }

    /// The client with this id, or with this name, whose case does not matter.
    pub fn client(&self, id_or_name: &str) -> Option<&McpClient> {
        if let Some(client) = id_or_name.parse().ok().and_then(|id| self.clients.get(&id)) {
            return Some(client);
        }
        let wanted = id_or_name.to_lowercase();
        self.clients
            .values()
            .find(|client| client.name.to_lowercase() == wanted)
    }

    /// The tools of `client` that are in `group`; none when there is no such group any more.
    pub fn tools_of_group(&self, group: ToolGroupId, client: McpClientId) -> &[String] {
        let tools = self.groups.get(&group).and_then(|tools| tools.get(&client));
        tools.map_or(&[], Vec::as_slice)
    }
}
