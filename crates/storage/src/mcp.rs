//! MCP servers that Tollgate connects to, and groups of their tools, as governed data.

pub mod clients;
pub mod tool_groups;
