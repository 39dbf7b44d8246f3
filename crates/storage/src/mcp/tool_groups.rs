//! Named groups of MCP tools, which profiles grant as a whole.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{McpClientId, ToolGroupId};
use tollgate_domain::snapshot::{GroupedTools, SnapshotChange};

use crate::error::Result;
use crate::page::{Page, PageRequest};
use crate::search;
use crate::sql::{MAX_VALUES, Row, query, to_json};
use crate::tx::{Db, Tx};

const KIND: &str = "mcp_tool_groups";

/// Tools of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientTools {
    /// The client that has them.
    pub mcp_client_id: McpClientId,
    /// Their names.
    pub tool_names: Vec<String>,
}

/// A group of tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolGroup {
    /// Its id.
    pub id: ToolGroupId,
    /// Unique without regard to case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The tools.
    pub tools: Vec<ClientTools>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str =
    "select id, name, description, tools, created_at, updated_at from mcp_tool_groups where true";

/// Stores a group.
///
/// # Errors
/// [`Constraint::ToolGroupName`](crate::Constraint::ToolGroupName) when the name is taken.
pub async fn create(
    tx: &mut Tx,
    name: &str,
    description: Option<&str>,
    tools: &[ClientTools],
    now: Timestamp,
) -> Result<ToolGroup> {
    let text = search::text(&[name]);
    let id = tx
        .returned_id(
            query(
                "insert into mcp_tool_groups
                     (name, name_key, description, tools, search_text, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $6) returning id",
            )
            .bind(name)
            .bind(name.to_lowercase())
            .bind(description)
            .bind(to_json("tools", &tools)?)
            .bind(text.as_str())
            .bind(now),
        )
        .await
        .map(ToolGroupId)?;
    tx.changed(SnapshotChange::Mcp);
    search::index(tx, KIND, &id.to_string(), "", &text).await?;
    Ok(ToolGroup {
        id,
        name: name.to_owned(),
        description: description.map(str::to_owned),
        tools: tools.to_vec(),
        created_at: now,
        updated_at: now,
    })
}

/// The group with this id.
pub async fn find(db: impl Into<Db<'_>>, id: ToolGroupId) -> Result<Option<ToolGroup>> {
    let mut statement = query(SELECT);
    statement.push(" and id = ");
    statement.push_value(id.0);
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The groups, oldest first; `wanted` is a part of the name.
pub async fn list(
    db: impl Into<Db<'_>>,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<ToolGroup>> {
    let mut db = db.into();
    let search = search::plan(&mut db, KIND, wanted).await?;
    let mut count = query("select count(*) as amount from mcp_tool_groups where true");
    let mut rows = query(SELECT);
    if let Some(search) = &search {
        search.push_for_integers(&mut count);
        search.push_for_integers(&mut rows);
    }
    rows.push(" order by id");
    rows.push_page(page);
    let total = db.count(count).await?;
    let items = db
        .rows(rows)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_>>()?;
    Ok(Page { items, total })
}

/// The tools in every group, as policy sees them.
pub async fn all(db: impl Into<Db<'_>>) -> Result<Vec<(ToolGroupId, GroupedTools)>> {
    let rows = db
        .into()
        .rows(query("select id, tools from mcp_tool_groups"))
        .await?;
    rows.iter()
        .map(|row| {
            let mut grouped = GroupedTools::new();
            for one in row.json::<Vec<ClientTools>>("tools")? {
                let of_client = grouped.entry(one.mcp_client_id).or_default();
                of_client.extend(one.tool_names);
            }
            Ok((ToolGroupId(row.get("id")?), grouped))
        })
        .collect()
}

/// Those of `ids` that do not exist.
pub async fn missing(db: impl Into<Db<'_>>, ids: &[ToolGroupId]) -> Result<Vec<ToolGroupId>> {
    let mut db = db.into();
    let mut found = HashSet::new();
    for piece in ids.chunks(MAX_VALUES) {
        let mut statement = query("select id from mcp_tool_groups where id in ");
        statement.push_list(piece.iter().map(|id| id.0));
        for row in db.rows(statement).await? {
            found.insert(ToolGroupId(row.get("id")?));
        }
    }
    let missing = ids.iter().copied().filter(|id| !found.contains(id));
    Ok(missing.collect())
}

/// Stores a changed group, as of `group.updated_at`. False when there is no such group.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, group: &ToolGroup) -> Result<bool> {
    let text = search::text(&[&group.name]);
    let before = search::text_before(tx, "mcp_tool_groups", group.id.0).await?;
    let changed = tx
        .execute(
            query(
                "update mcp_tool_groups set name = $2, name_key = $3, description = $4, tools = $5,
                     search_text = $6, updated_at = $7
                 where id = $1",
            )
            .bind(group.id.0)
            .bind(group.name.as_str())
            .bind(group.name.to_lowercase())
            .bind(group.description.as_deref())
            .bind(to_json("tools", &group.tools)?)
            .bind(text.as_str())
            .bind(group.updated_at),
        )
        .await?
        > 0;
    if changed {
        tx.changed(SnapshotChange::Mcp);
        search::index(tx, KIND, &group.id.to_string(), &before, &text).await?;
    }
    Ok(changed)
}

/// Deletes a group. False when there is no such group.
pub async fn delete(tx: &mut Tx, id: ToolGroupId) -> Result<bool> {
    let deleted = tx
        .row(query("delete from mcp_tool_groups where id = $1 returning search_text").bind(id.0))
        .await?;
    let Some(row) = deleted else {
        return Ok(false);
    };
    tx.changed(SnapshotChange::Mcp);
    search::remove(tx, KIND, &id.to_string(), &row).await?;
    Ok(true)
}

fn read(row: &Row) -> Result<ToolGroup> {
    Ok(ToolGroup {
        id: ToolGroupId(row.get("id")?),
        name: row.get("name")?,
        description: row.get("description")?,
        tools: row.json("tools")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
