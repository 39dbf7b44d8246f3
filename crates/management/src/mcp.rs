//! MCP clients and tool groups.

use crate::body::Problems;
use crate::problem::Answer;
use crate::virtual_keys::McpConfigInput;

/// Refuses keys that name MCP clients that do not exist.
pub(crate) fn refuse_unknown_clients(configs: Option<&[McpConfigInput]>) -> Answer<()> {
    let mut problems = Problems::default();
    for (index, config) in configs.unwrap_or_default().iter().enumerate() {
        problems.invalid(
            format!("/mcp_configs/{index}/mcp_client_name"),
            format!("no MCP client `{}` exists", config.mcp_client_name),
        );
    }
    problems.into_result()
}
