//! What may be said of an MCP client: the pure part of create and update.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use tollgate_domain::Usd;
use tollgate_storage::mcp::clients::{ConnectionType, StoredMcpClient};
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use crate::body::object::child;
use crate::body::{FromJson, Name, Node, NotBlank, Object, Problems, Secret, body};
use crate::problem::{Problem, UNUSABLE_ADDRESS};
use crate::providers::{MASK, NO_VALUE, check_server_url};

body! {
    /// A new MCP client.
    struct CreateMcpClient ignoring ["id", "state", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique without regard to case.
        name: required Name,
        /// `http`, `sse` or `stdio`.
        connection_type: required Connection,
        /// The server's address, for `http` and `sse`. A secret.
        connection_string: optional ServerAddress,
        /// The program to start, for `stdio`.
        stdio_config: optional StdioInput,
        /// Sent with every request. The values are secrets.
        headers: optional BTreeMap<String, Secret>,
        /// The tools that may be used; `*` means all. Left out: none.
        tools_to_execute: optional Vec<String>,
        /// US dollars for a call of a tool.
        tool_pricing: optional BTreeMap<String, Usd>,
    }
    check |client| {
        if let Some(Connection(kind)) = &connection_type {
            let is_program = *kind == ConnectionType::Stdio;
            if is_program && !client.has("stdio_config") {
                client.inconsistent("stdio_config", NEEDS_PROGRAM);
            }
            if !is_program && !client.has("connection_string") {
                client.inconsistent("connection_string", NEEDS_ADDRESS);
            }
            refuse_other_kind(client, is_program);
        }
        if let Some(Some(ServerAddress(Secret(address)))) = &connection_string
            && address.expose_secret() == MASK
        {
            client.inconsistent("connection_string", NO_VALUE);
        }
        let stdio = stdio_config.iter().flatten().filter_map(|stdio| stdio.envs.as_ref());
        for name in stdio.flat_map(masked) {
            client.inconsistent_at(&["stdio_config", "envs", name], NO_VALUE);
        }
        for name in headers.iter().flatten().flat_map(masked) {
            client.inconsistent_at(&["headers", name], NO_VALUE);
        }
    }
}

body! {
    /// A partial update of an MCP client.
    struct UpdateMcpClient ignoring ["id", "state", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique without regard to case.
        name: given Name,
        /// `http`, `sse` or `stdio`.
        connection_type: given Connection,
        /// The server's address. The mask of an answer keeps it.
        connection_string: optional ServerAddress,
        /// The program to start, for `stdio`.
        stdio_config: optional StdioInput,
        /// Replaces all of them. The mask of an answer keeps a value.
        headers: given BTreeMap<String, Secret>,
        /// Replaces the whole list.
        tools_to_execute: given Vec<String>,
        /// Replaces all of them.
        tool_pricing: given BTreeMap<String, Usd>,
    }
    check |client| {
        if let Some(Some(Connection(kind))) = &connection_type {
            refuse_other_kind(client, *kind == ConnectionType::Stdio);
        }
    }
}

const NEEDS_PROGRAM: &str = "`stdio` needs a `stdio_config` with a `command`";
const NEEDS_ADDRESS: &str = "`http` and `sse` need a `connection_string`";

/// What one kind of connection has no use for would be forgotten without a word.
fn refuse_other_kind(client: &mut Object<'_, '_>, is_program: bool) {
    if is_program && client.has("connection_string") {
        let message = "`stdio` starts a program and has no address; leave it out or set it to null";
        client.inconsistent("connection_string", message);
    }
    if !is_program && client.has("stdio_config") {
        let message = "`http` and `sse` start no program; leave it out or set it to null";
        client.inconsistent("stdio_config", message);
    }
}

/// The names whose values are masks.
fn masked(secrets: &BTreeMap<String, Secret>) -> impl Iterator<Item = &String> {
    let is_mask = |(_, Secret(value)): &(&String, &Secret)| value.expose_secret() == MASK;
    secrets.iter().filter(is_mask).map(|(name, _)| name)
}

body! {
    /// A program that speaks MCP on its standard input and output.
    struct StdioInput {
        /// The program.
        command: required NotBlank,
        /// Its arguments.
        args: optional Vec<String>,
        /// Its environment. The values are secrets.
        envs: optional BTreeMap<String, Secret>,
    }
}

/// A server's address, which may carry a token in its path, or the mask of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerAddress(Secret);

impl FromJson for ServerAddress {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let Secret(address) = Secret::from_json(node, problems)?;
        let text = address.expose_secret();
        if text != MASK
            && let Err(message) = check_server_url(text)
        {
            problems.push(node.pointer.as_str(), UNUSABLE_ADDRESS, message);
            return None;
        }
        Some(Self(Secret(address)))
    }

    fn schema() -> RefOr<Schema> {
        Secret::schema()
    }
}

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connection(ConnectionType);

impl FromJson for Connection {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match node.text(problems, "`http`, `sse` or `stdio`")?.parse() {
            Ok(kind) => Some(Self(kind)),
            Err(error) => {
                problems.invalid(node.pointer.as_str(), format!("this is {error}"));
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["http", "sse", "stdio"]))
            .into()
    }
}

impl From<CreateMcpClient> for UpdateMcpClient {
    /// A new client is the empty one, updated.
    fn from(body: CreateMcpClient) -> Self {
        Self {
            name: Some(body.name),
            connection_type: Some(body.connection_type),
            connection_string: body.connection_string,
            stdio_config: body.stdio_config,
            headers: body.headers,
            tools_to_execute: body.tools_to_execute,
            tool_pricing: body.tool_pricing,
        }
    }
}

/// The client after the update. Instants are left as they are.
///
/// # Errors
/// Everything that is wrong with the body.
pub(super) fn apply_update(
    current: &StoredMcpClient,
    body: UpdateMcpClient,
) -> Result<StoredMcpClient, Problem> {
    let mut problems = Problems::default();
    let mut new = current.clone();
    if let Some(name) = body.name {
        new.name = name.into();
    }
    if let Some(Connection(kind)) = body.connection_type {
        new.connection_type = kind;
    }
    if let Some(ServerAddress(Secret(address))) = body.connection_string
        && address.expose_secret() != MASK
    {
        new.secrets.connection_string = Some(address);
        // Headers are secrets of the old server.
        new.secrets.headers.clear();
    }
    if let Some(headers) = body.headers {
        new.secrets.headers = merge("/headers", &new.secrets.headers, headers, &mut problems);
    }
    if let Some(stdio) = body.stdio_config {
        new.settings.command = Some(stdio.command.into());
        new.settings.args = stdio.args.unwrap_or_default();
        let envs = stdio.envs.unwrap_or_default();
        new.secrets.envs = merge(
            "/stdio_config/envs",
            &current.secrets.envs,
            envs,
            &mut problems,
        );
    }
    if let Some(tools) = body.tools_to_execute {
        new.settings.tools_to_execute = tools;
    }
    if let Some(pricing) = body.tool_pricing {
        new.settings.tool_pricing = pricing;
    }
    check(&mut new, &mut problems);
    problems.into_result()?;
    Ok(new)
}

/// What a kind of connection needs, and has no use for.
fn check(client: &mut StoredMcpClient, problems: &mut Problems) {
    if client.connection_type == ConnectionType::Stdio {
        client.secrets.connection_string = None;
        client.secrets.headers.clear();
        let command = client.settings.command.as_deref().unwrap_or_default();
        if command.trim().is_empty() {
            problems.inconsistent("/stdio_config", NEEDS_PROGRAM);
        }
        return;
    }
    client.settings.command = None;
    client.settings.args.clear();
    client.secrets.envs.clear();
    if client.secrets.connection_string.is_none() {
        problems.inconsistent("/connection_string", NEEDS_ADDRESS);
    }
}

/// New secrets in the place of old ones; a mask keeps the old one of its name.
fn merge(
    pointer: &str,
    old: &[(String, SecretString)],
    new: BTreeMap<String, Secret>,
    problems: &mut Problems,
) -> Vec<(String, SecretString)> {
    let mut merged = Vec::new();
    for (name, Secret(value)) in new {
        let is_mask = value.expose_secret() == MASK;
        match old.iter().find(|(known, _)| *known == name) {
            Some((_, kept)) if is_mask => merged.push((name, kept.clone())),
            None if is_mask => problems.inconsistent(child(pointer, &name), NO_VALUE),
            _ => merged.push((name, value)),
        }
    }
    merged
}
