//! MCP clients and tool groups as governed data: made, checked, kept and named by profiles. Connecting to them is not
//! this API's business, so a client's state is `disconnected`.

mod clients;
mod tool_groups;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tollgate_domain::access::profile::{McpGrants, ToolAction, ToolOverride};
use tollgate_domain::ids::McpClientId;
use tollgate_storage::mcp::clients as stored;
use tollgate_storage::{Db, PageRequest, Tx};
use utoipa_axum::router::OpenApiRouter;

use crate::body::Problems;
use crate::problem::Answer;
use crate::state::ManagementState;
use crate::virtual_keys::McpConfigInput;

/// The operations on MCP clients and tool groups.
pub(crate) fn operations() -> OpenApiRouter<ManagementState> {
    clients::operations().merge(tool_groups::operations())
}

/// What the tools of clients, named by a key, are as grants: `*` is a whole server, everything else single tools.
///
/// # Errors
/// Every name that no client has.
pub(crate) async fn read_grants(tx: &mut Tx, configs: &[McpConfigInput]) -> Answer<McpGrants> {
    let mut problems = Problems::default();
    let mut grants = McpGrants::default();
    for (index, config) in configs.iter().enumerate() {
        let name = &config.mcp_client_name.0.0;
        let Some(client) = find_by_name(&mut *tx, name).await? else {
            problems.unknown(
                format!("/mcp_configs/{index}/mcp_client_name"),
                format!("no MCP client `{name}` exists"),
            );
            continue;
        };
        for tool in config.tools_to_execute.iter().flatten() {
            if tool == "*" {
                grants.servers.push(client);
            } else {
                grants.tool_overrides.push(ToolOverride {
                    mcp_client_id: client,
                    tool_name: tool.clone(),
                    action: ToolAction::Include,
                });
            }
        }
    }
    problems.into_result()?;
    Ok(grants)
}

pub(crate) async fn find_by_name(db: impl Into<Db<'_>>, name: &str) -> Answer<Option<McpClientId>> {
    let mut db = db.into();
    let mut page = PageRequest {
        limit: 100,
        offset: 0,
    };
    loop {
        let found = stored::list(db.again(), Some(name), page).await?;
        let is_it =
            |client: &&stored::StoredMcpClient| client.name.to_lowercase() == name.to_lowercase();
        if let Some(client) = found.items.iter().find(is_it) {
            return Ok(Some(client.id));
        }
        if found.items.is_empty() {
            return Ok(None);
        }
        page.offset += u64::from(page.limit);
    }
}

/// The tools of a key by client, as [`read_grants`] reads them.
pub(crate) fn tools_by_client(grants: &McpGrants) -> BTreeMap<McpClientId, BTreeSet<String>> {
    let mut tools: BTreeMap<McpClientId, BTreeSet<String>> = BTreeMap::new();
    for server in &grants.servers {
        tools.entry(*server).or_default().insert("*".to_owned());
    }
    for tool in &grants.tool_overrides {
        let of_client = tools.entry(tool.mcp_client_id).or_default();
        of_client.insert(tool.tool_name.clone());
    }
    tools
}

/// The names of the clients that these grants name.
pub(crate) async fn names(
    db: impl Into<Db<'_>>,
    grants: impl IntoIterator<Item = &McpGrants>,
) -> Answer<HashMap<McpClientId, String>> {
    let wanted: BTreeSet<McpClientId> = grants
        .into_iter()
        .flat_map(|grants| tools_by_client(grants).into_keys())
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let found = stored::list(
        db,
        None,
        PageRequest {
            limit: 10_000,
            offset: 0,
        },
    )
    .await?;
    let named = found
        .items
        .into_iter()
        .filter(|client| wanted.contains(&client.id));
    Ok(named.map(|client| (client.id, client.name)).collect())
}
