//! MCP clients: one for each server that Tollgate connects to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tollgate_domain::ids::McpClientId;
use tollgate_domain::snapshot::{McpClient, SnapshotChange};
use tollgate_domain::{Timestamp, Usd};

use crate::error::Result;
use crate::page::{Page, PageRequest};
use crate::search;
use crate::sql::{MAX_VALUES, Row, from_json, query, to_json};
use crate::tx::{Db, Tx};
use crate::vault::{Place, Vault};

const KIND: &str = "mcp_clients";

/// How a server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionType {
    /// Streamable HTTP.
    Http,
    /// HTTP with server-sent events.
    Sse,
    /// A child process.
    Stdio,
}

impl ConnectionType {
    /// As the API and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        }
    }
}

impl FromStr for ConnectionType {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        [Self::Http, Self::Sse, Self::Stdio]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("none of `http`, `sse`, `stdio`")
    }
}

/// What of a client is no secret.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientSettings {
    /// The program to start, for [`ConnectionType::Stdio`].
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// The tools that may be used; `*` means all.
    pub tools_to_execute: Vec<String>,
    /// What a call of a tool costs.
    pub tool_pricing: BTreeMap<String, Usd>,
}

/// What of a client is secret, stored sealed.
#[derive(Debug, Clone, Default)]
pub struct ClientSecrets {
    /// The server's address, which may carry a token.
    pub connection_string: Option<SecretString>,
    /// Sent with every request.
    pub headers: Vec<(String, SecretString)>,
    /// The environment of the program.
    pub envs: Vec<(String, SecretString)>,
}

/// An MCP client.
#[derive(Debug, Clone)]
pub struct StoredMcpClient {
    /// Its id.
    pub id: McpClientId,
    /// Unique without regard to case.
    pub name: String,
    /// How the server is reached.
    pub connection_type: ConnectionType,
    /// What is no secret.
    pub settings: ClientSettings,
    /// What is.
    pub secrets: ClientSecrets,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct SecretsRow {
    connection_string: Option<String>,
    headers: Vec<(String, String)>,
    envs: Vec<(String, String)>,
}

const SELECT: &str = "select id, name, connection_type, settings, secrets_sealed, created_at, updated_at \
                      from mcp_clients where true";

/// Stores a client, whose instants are both `client.created_at`.
///
/// # Errors
/// [`Constraint::McpClientName`](crate::Constraint::McpClientName) when the name is taken.
pub async fn create(tx: &mut Tx, client: &StoredMcpClient) -> Result<()> {
    let text = search::text(&[&client.name]);
    let sealed = seal(tx.vault(), client)?;
    tx.execute(
        query(
            "insert into mcp_clients (id, name, name_key, connection_type, settings, secrets_sealed, search_text,
                 created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind_text(client.id)
        .bind(client.name.as_str())
        .bind(client.name.to_lowercase())
        .bind(client.connection_type.as_str())
        .bind(to_json("settings", &client.settings)?)
        .bind(sealed)
        .bind(text.as_str())
        .bind(client.created_at),
    )
    .await?;
    tx.changed(SnapshotChange::Mcp);
    search::index(tx, KIND, &client.id.to_string(), "", &text).await
}

/// The client with this id.
pub async fn find(db: impl Into<Db<'_>>, id: McpClientId) -> Result<Option<StoredMcpClient>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" and id = ");
    statement.push_value(id.to_string());
    let row = db.row(statement).await?;
    row.map(|row| read(db.store().vault(), &row)).transpose()
}

/// The clients, oldest first; `wanted` is a part of the name.
pub async fn list(
    db: impl Into<Db<'_>>,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<StoredMcpClient>> {
    let mut db = db.into();
    let search = search::plan(&mut db, KIND, wanted).await?;
    let mut count = query("select count(*) as amount from mcp_clients where true");
    let mut rows = query(SELECT);
    if let Some(search) = &search {
        search.push(&mut count);
        search.push(&mut rows);
    }
    rows.push(" order by created_at, id");
    rows.push_page(page);
    let total = db.count(count).await?;
    let rows = db.rows(rows).await?;
    let items = rows
        .iter()
        .map(|row| read(db.store().vault(), row))
        .collect::<Result<_>>()?;
    Ok(Page { items, total })
}

/// Every client, as policy sees it: without its secrets.
pub async fn all(db: impl Into<Db<'_>>) -> Result<Vec<McpClient>> {
    let rows = db
        .into()
        .rows(query("select id, name, settings from mcp_clients"))
        .await?;
    rows.iter()
        .map(|row| {
            let settings: ClientSettings = row.json("settings")?;
            Ok(McpClient {
                id: row.parse("id")?,
                name: row.get::<String>("name")?.into(),
                tools_to_execute: settings.tools_to_execute,
                tool_pricing: settings.tool_pricing,
            })
        })
        .collect()
}

/// The clients with these names, without regard to case, by their names in lower case.
pub async fn ids_by_name(
    db: impl Into<Db<'_>>,
    names: &[&str],
) -> Result<HashMap<String, McpClientId>> {
    let mut db = db.into();
    let mut found = HashMap::new();
    for piece in names.chunks(MAX_VALUES) {
        let mut statement = query("select id, name_key from mcp_clients where name_key in ");
        statement.push_list(piece.iter().map(|name| name.to_lowercase()));
        for row in db.rows(statement).await? {
            found.insert(row.get("name_key")?, row.parse("id")?);
        }
    }
    Ok(found)
}

/// The names of these clients.
pub async fn names(
    db: impl Into<Db<'_>>,
    ids: &[McpClientId],
) -> Result<HashMap<McpClientId, String>> {
    let mut db = db.into();
    let mut found = HashMap::new();
    for piece in ids.chunks(MAX_VALUES) {
        let mut statement = query("select id, name from mcp_clients where id in ");
        statement.push_list(piece.iter().map(ToString::to_string));
        for row in db.rows(statement).await? {
            found.insert(row.parse("id")?, row.get("name")?);
        }
    }
    Ok(found)
}

/// Those of `ids` that do not exist.
pub async fn missing(db: impl Into<Db<'_>>, ids: &[McpClientId]) -> Result<Vec<McpClientId>> {
    let mut db = db.into();
    let mut found = HashSet::new();
    for piece in ids.chunks(MAX_VALUES) {
        let mut statement = query("select id from mcp_clients where id in ");
        statement.push_list(piece.iter().map(ToString::to_string));
        for row in db.rows(statement).await? {
            found.insert(row.parse::<McpClientId>("id")?);
        }
    }
    let missing = ids.iter().copied().filter(|id| !found.contains(id));
    Ok(missing.collect())
}

/// Stores a changed client, as of `client.updated_at`. False when there is no such client.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, client: &StoredMcpClient) -> Result<bool> {
    let text = search::text(&[&client.name]);
    let before = search::text_before(tx, "mcp_clients", client.id.to_string()).await?;
    let sealed = seal(tx.vault(), client)?;
    let changed = tx
        .execute(
            query(
                "update mcp_clients set name = $2, name_key = $3, connection_type = $4, settings = $5,
                     secrets_sealed = $6, search_text = $7, updated_at = $8
                 where id = $1",
            )
            .bind_text(client.id)
            .bind(client.name.as_str())
            .bind(client.name.to_lowercase())
            .bind(client.connection_type.as_str())
            .bind(to_json("settings", &client.settings)?)
            .bind(sealed)
            .bind(text.as_str())
            .bind(client.updated_at),
        )
        .await?
        > 0;
    if changed {
        tx.changed(SnapshotChange::Mcp);
        search::index(tx, KIND, &client.id.to_string(), &before, &text).await?;
    }
    Ok(changed)
}

/// Deletes a client. False when there is no such client.
pub async fn delete(tx: &mut Tx, id: McpClientId) -> Result<bool> {
    let deleted = tx
        .row(query("delete from mcp_clients where id = $1 returning search_text").bind_text(id))
        .await?;
    let Some(row) = deleted else {
        return Ok(false);
    };
    tx.changed(SnapshotChange::Mcp);
    search::remove(tx, KIND, &id.to_string(), &row).await?;
    Ok(true)
}

const fn place(id: &str) -> Place<'_> {
    Place {
        table: "mcp_clients",
        column: "secrets_sealed",
        row: id,
    }
}

fn seal(vault: &Vault, client: &StoredMcpClient) -> Result<String> {
    let plain = |pairs: &[(String, SecretString)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), value.expose_secret().to_owned()))
            .collect()
    };
    let row = SecretsRow {
        connection_string: client
            .secrets
            .connection_string
            .as_ref()
            .map(|address| address.expose_secret().to_owned()),
        headers: plain(&client.secrets.headers),
        envs: plain(&client.secrets.envs),
    };
    let text = SecretString::from(to_json("secrets_sealed", &row)?);
    vault.seal(&place(&client.id.to_string()), &text)
}

fn read(vault: &Vault, row: &Row) -> Result<StoredMcpClient> {
    let id: McpClientId = row.parse("id")?;
    let secret = |pairs: Vec<(String, String)>| -> Vec<(String, SecretString)> {
        pairs
            .into_iter()
            .map(|(name, value)| (name, SecretString::from(value)))
            .collect()
    };
    let secrets = match row.get::<Option<String>>("secrets_sealed")? {
        Some(sealed) => {
            let plain = vault.open(&place(&id.to_string()), &sealed)?;
            let row: SecretsRow = from_json("secrets_sealed", plain.expose_secret())?;
            ClientSecrets {
                connection_string: row.connection_string.map(SecretString::from),
                headers: secret(row.headers),
                envs: secret(row.envs),
            }
        }
        None => ClientSecrets::default(),
    };
    Ok(StoredMcpClient {
        id,
        name: row.get("name")?,
        connection_type: row.parse("connection_type")?,
        settings: row.json("settings")?,
        secrets,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
