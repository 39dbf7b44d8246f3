//! MCP clients and tool groups as governed data: made, checked, kept and named by profiles. Connecting to them is not
//! this API's business, so a client's state is `disconnected`.

mod clients;
mod tool_groups;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tollgate_domain::access::ALL_TOOLS;
use tollgate_domain::access::profile::{McpGrants, ToolAction, ToolOverride};
use tollgate_domain::ids::McpClientId;
use tollgate_storage::mcp::clients as stored;
use tollgate_storage::{Db, Tx};

use crate::body::Problems;
use crate::operations::Operations;
use crate::problem::Answer;
use crate::virtual_keys::McpConfigInput;

/// The operations on MCP clients and tool groups.
pub(crate) fn operations() -> Operations {
    clients::operations().merge(tool_groups::operations())
}

/// What the tools of clients, named by a key, are as grants: `*` is a whole server, everything else single tools. A
/// client without any is excluded as a whole: that is something else than a client of which nothing is said. A client of
/// `old` may be named by its id, which is how one is shown that was deleted.
///
/// # Errors
/// Every name that no client has any more: that they had one was looked at when the body was read.
pub(crate) async fn read_grants(
    tx: &mut Tx,
    configs: &[McpConfigInput],
    old: &McpGrants,
) -> Answer<McpGrants> {
    let name_of = |config: &McpConfigInput| config.mcp_client_name.0.0.clone();
    let names: Vec<String> = configs.iter().map(name_of).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let clients = stored::ids_by_name(tx, &names).await?;
    let held = tools_by_client(old);
    let find = |name: &str| {
        let by_name = clients.get(&name.to_lowercase()).copied();
        by_name.or_else(|| name.parse().ok().filter(|id| held.contains_key(id)))
    };
    let mut problems = Problems::default();
    let mut grants = McpGrants::default();
    let mut named = BTreeSet::new();
    for (index, (config, name)) in configs.iter().zip(names).enumerate() {
        let Some(client) = find(name) else {
            problems.unknown(
                format!("/mcp_configs/{index}/mcp_client_name"),
                format!("no MCP client `{name}` exists"),
            );
            continue;
        };
        named.insert(client);
        for tool in config.tools_to_execute.iter().flatten() {
            if tool == ALL_TOOLS {
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
    let granted = tools_by_client(&grants);
    let nothing = named
        .into_iter()
        .filter(|client| !granted.contains_key(client));
    grants
        .tool_overrides
        .extend(nothing.map(|client| ToolOverride {
            mcp_client_id: client,
            tool_name: ALL_TOOLS.to_owned(),
            action: ToolAction::Exclude,
        }));
    Ok(grants)
}

/// The tools of a key by client, as [`read_grants`] reads them.
pub(crate) fn tools_by_client(grants: &McpGrants) -> BTreeMap<McpClientId, BTreeSet<String>> {
    let mut tools: BTreeMap<McpClientId, BTreeSet<String>> = BTreeMap::new();
    for server in &grants.servers {
        tools
            .entry(*server)
            .or_default()
            .insert(ALL_TOOLS.to_owned());
    }
    for tool in &grants.tool_overrides {
        let of_client = tools.entry(tool.mcp_client_id).or_default();
        if tool.action == ToolAction::Include {
            of_client.insert(tool.tool_name.clone());
        }
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
    let wanted: Vec<McpClientId> = wanted.into_iter().collect();
    Ok(stored::names(db, &wanted).await?)
}
