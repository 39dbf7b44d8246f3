//! Groups of MCP tools, which profiles grant together.

mod create;
mod delete;
mod get;
mod list;
mod update;

use std::collections::BTreeSet;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{McpClientId, ToolGroupId};
use tollgate_storage::mcp::tool_groups::{self, ClientTools, ToolGroup};
use tollgate_storage::{Constraint, Db, StorageError, Store};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::body::{Existing, Reference, body};
use crate::extract::NamesOthers;
use crate::operations::Operations;
use crate::problem::{Answer, Problem};

pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_tool_groups, create::create_tool_group))
        .routes(|| {
            routes!(
                get::get_tool_group,
                update::update_tool_group,
                delete::delete_tool_group
            )
        })
}

body! {
    /// Tools of one client.
    struct ClientToolsInput {
        /// The client that has them.
        mcp_client_id: required Existing<McpClientId>,
        /// Their names.
        tool_names: required Vec<String>,
    }
}

/// A group of tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolGroupView {
    id: i64,
    name: String,
    description: Option<String>,
    tools: Vec<ClientToolsView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// Tools of one client.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientToolsView {
    mcp_client_id: String,
    tool_names: Vec<String>,
}

/// One group of tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolGroupBody {
    tool_group: ToolGroupView,
}

impl From<&ToolGroup> for ToolGroupView {
    fn from(group: &ToolGroup) -> Self {
        let tools = group.tools.iter().map(|tools| ClientToolsView {
            mcp_client_id: tools.mcp_client_id.to_string(),
            tool_names: tools.tool_names.clone(),
        });
        Self {
            id: group.id.0,
            name: group.name.clone(),
            description: group.description.clone(),
            tools: tools.collect(),
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

/// The group, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: ToolGroupId) -> Answer<ToolGroup> {
    tool_groups::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found("tool group", id))
}

impl NamesOthers for ToolGroupId {
    async fn named(self, store: &Store) -> Answer<BTreeSet<Reference>> {
        let group = tool_groups::find(store, self).await?;
        let tools = group.into_iter().flat_map(|group| group.tools);
        Ok(tools
            .map(|tools| Reference::McpClient(tools.mcp_client_id))
            .collect())
    }
}

impl From<ClientToolsInput> for ClientTools {
    fn from(input: ClientToolsInput) -> Self {
        Self {
            mcp_client_id: input.mcp_client_id.0,
            tool_names: input.tool_names,
        }
    }
}

/// A taken name as the 409 it is.
fn name_taken(error: StorageError, name: &str) -> Problem {
    if error.conflicts_with(Constraint::ToolGroupName) {
        Problem::conflict(
            "name_taken",
            format!("a tool group is named `{name}` already"),
        )
        .at("/name")
    } else {
        error.into()
    }
}
