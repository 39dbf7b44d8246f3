//! Teams, business units and customers: groups of users, with limits on all members together.

pub mod members;
pub mod profiles;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::VirtualKeyId;
use tollgate_domain::snapshot::{GroupId, SnapshotChange};

use crate::error::Result;
use crate::group_id;
use crate::page::{Page, PageRequest};
use crate::sql::{MAX_VALUES, Query, Row, query, to_json};
use crate::tx::{Db, Tx};
use crate::{search, totals};

/// What a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GroupKind {
    /// A team.
    Team,
    /// A business unit.
    BusinessUnit,
    /// A customer.
    Customer,
}

impl GroupKind {
    /// As the database writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Team => "team",
            Self::BusinessUnit => "business_unit",
            Self::Customer => "customer",
        }
    }

    /// What the group with this id is.
    pub const fn of(id: GroupId) -> Self {
        match id {
            GroupId::Team(_) => Self::Team,
            GroupId::BusinessUnit(_) => Self::BusinessUnit,
            GroupId::Customer(_) => Self::Customer,
        }
    }

    /// Under which name the index and the totals know this kind.
    const fn list(self) -> &'static str {
        match self {
            Self::Team => "teams",
            Self::BusinessUnit => "business_units",
            Self::Customer => "customers",
        }
    }
}

impl FromStr for GroupKind {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        [Self::Team, Self::BusinessUnit, Self::Customer]
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or("no kind of group")
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredGroup {
    /// Its id, which also says what it is.
    pub id: GroupId,
    /// Unique among its kind without regard to case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Its limits and settings; grants come with its profile, see [`profiles`].
    pub content: ProfileContent,
    /// Groups above it, whose limits hold for its members too: a team's customer or business unit.
    pub parents: Vec<GroupId>,
    /// When it was made; the anchor of its windows.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str =
    "select id, name, description, content, created_at, updated_at from groups where ";

/// Stores a group, whose instants are both `group.created_at`.
///
/// # Errors
/// [`Constraint::GroupName`](crate::Constraint::GroupName) when the name is taken;
/// [`StorageError::Reference`](crate::StorageError::Reference) when a parent does not exist.
pub async fn create(tx: &mut Tx, group: &StoredGroup) -> Result<()> {
    let kind = GroupKind::of(group.id);
    let text = search::text(&[&group.name]);
    tx.execute(
        query(
            "insert into groups (id, kind, name, name_key, description, content, search_text, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind(group_id::text(group.id))
        .bind(kind.as_str())
        .bind(group.name.as_str())
        .bind(group.name.to_lowercase())
        .bind(group.description.as_deref())
        .bind(to_json("content", &group.content)?)
        .bind(text.as_str())
        .bind(group.created_at),
    )
    .await?;
    put_parents(tx, group).await?;
    search::index(tx, kind.list(), &group_id::text(group.id), "", &text).await?;
    totals::add(tx, kind.list(), 1).await?;
    tx.changed(SnapshotChange::Group(group.id));
    Ok(())
}

/// The group with this id.
pub async fn find(db: impl Into<Db<'_>>, id: GroupId) -> Result<Option<StoredGroup>> {
    let mut statement = query(SELECT);
    statement.push("id = ");
    statement.push_value(group_id::text(id));
    Ok(read_all(&mut db.into(), statement).await?.pop())
}

/// Those of `ids` that do not exist.
pub async fn missing(db: impl Into<Db<'_>>, ids: &[GroupId]) -> Result<Vec<GroupId>> {
    let mut db = db.into();
    let mut found = HashSet::new();
    for piece in ids.chunks(MAX_VALUES) {
        let mut statement = query("select id from groups where id in ");
        statement.push_list(piece.iter().map(|id| group_id::text(*id)));
        for row in db.rows(statement).await? {
            found.insert(group_id::parse("id", &row.get::<String>("id")?)?);
        }
    }
    let missing = ids.iter().copied().filter(|id| !found.contains(id));
    Ok(missing.collect())
}

/// The names of these groups.
pub async fn names(db: impl Into<Db<'_>>, ids: &[GroupId]) -> Result<HashMap<GroupId, String>> {
    let mut db = db.into();
    let mut found = HashMap::new();
    for piece in ids.chunks(MAX_VALUES) {
        let mut statement = query("select id, name from groups where id in ");
        statement.push_list(piece.iter().map(|id| group_id::text(*id)));
        for row in db.rows(statement).await? {
            let id = group_id::parse("id", &row.get::<String>("id")?)?;
            found.insert(id, row.get("name")?);
        }
    }
    Ok(found)
}

/// The groups of one kind, oldest first; `wanted` is a part of the name.
pub async fn list(
    db: impl Into<Db<'_>>,
    kind: GroupKind,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<StoredGroup>> {
    let mut db = db.into();
    let search = search::plan(&mut db, kind.list(), wanted).await?;
    let mut count = query("select count(*) as amount from groups where kind = ");
    let mut rows = query(SELECT);
    rows.push("kind = ");
    for statement in [&mut count, &mut rows] {
        statement.push_value(kind.as_str());
        if let Some(search) = &search {
            search.push(statement);
        }
    }
    rows.push(" order by created_at, id");
    rows.push_page(page);
    let total = match search {
        Some(_) => db.count(count).await?,
        None => totals::get(&mut db, kind.list()).await?,
    };
    let items = read_all(&mut db, rows).await?;
    Ok(Page { items, total })
}

/// A batch of a walk through all groups of all kinds: at most `limit`, in the order of ids, after `after`.
pub(crate) async fn batch(
    db: &mut Db<'_>,
    after: Option<GroupId>,
    limit: u32,
) -> Result<Vec<StoredGroup>> {
    let mut statement = query(SELECT);
    statement.push("id > ");
    statement.push_value(after.map(group_id::text).unwrap_or_default());
    statement.push(" order by id limit ");
    statement.push_value(i64::from(limit));
    read_all(db, statement).await
}

/// Stores a changed group, as of `group.updated_at`. False when there is no such group.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, group: &StoredGroup) -> Result<bool> {
    let kind = GroupKind::of(group.id);
    let text = search::text(&[&group.name]);
    let id = group_id::text(group.id);
    let before = search::text_before(tx, "groups", id.as_str()).await?;
    let changed = tx
        .execute(
            query(
                "update groups set name = $2, name_key = $3, description = $4, content = $5, search_text = $6,
                     updated_at = $7
                 where id = $1",
            )
            .bind(id.as_str())
            .bind(group.name.as_str())
            .bind(group.name.to_lowercase())
            .bind(group.description.as_deref())
            .bind(to_json("content", &group.content)?)
            .bind(text.as_str())
            .bind(group.updated_at),
        )
        .await?
        > 0;
    if changed {
        put_parents(tx, group).await?;
        search::index(tx, kind.list(), &id, &before, &text).await?;
        tx.changed(SnapshotChange::Group(group.id));
    }
    Ok(changed)
}

/// Deletes a group with its keys, its profile and its memberships. False when there is no such group.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) while it stands above another group.
pub async fn delete(tx: &mut Tx, id: GroupId) -> Result<bool> {
    let id_text = group_id::text(id);
    let keys = tx
        .rows(query("select id from virtual_keys where group_id = $1").bind(id_text.as_str()))
        .await?;
    for row in &keys {
        let key: VirtualKeyId = row.parse("id")?;
        crate::virtual_keys::delete(tx, key).await?;
    }
    for member in members::all(tx, id).await? {
        tx.changed(SnapshotChange::User(member));
    }
    let deleted = tx
        .row(query("delete from groups where id = $1 returning search_text").bind(id_text.as_str()))
        .await?;
    let Some(row) = deleted else {
        return Ok(false);
    };
    let list = GroupKind::of(id).list();
    search::remove(tx, list, &id_text, &row).await?;
    totals::add(tx, list, -1).await?;
    tx.changed(SnapshotChange::Group(id));
    Ok(true)
}

async fn put_parents(tx: &mut Tx, group: &StoredGroup) -> Result<()> {
    let id = group_id::text(group.id);
    tx.execute(query("delete from group_parents where group_id = $1").bind(id.as_str()))
        .await?;
    for parent in &group.parents {
        tx.execute(
            query("insert into group_parents (group_id, parent_id) values ($1, $2)")
                .bind(id.as_str())
                .bind(group_id::text(*parent)),
        )
        .await?;
    }
    Ok(())
}

async fn read_all(db: &mut Db<'_>, statement: Query) -> Result<Vec<StoredGroup>> {
    let mut groups: Vec<StoredGroup> = db
        .rows(statement)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_>>()?;
    if groups.is_empty() {
        return Ok(groups);
    }
    let mut statement = query("select group_id, parent_id from group_parents where group_id in ");
    statement.push_list(groups.iter().map(|group| group_id::text(group.id)));
    statement.push(" order by group_id, parent_id");
    let mut parents: BTreeMap<GroupId, Vec<GroupId>> = BTreeMap::new();
    for row in db.rows(statement).await? {
        let group = group_id::parse("group_id", &row.get::<String>("group_id")?)?;
        let parent = group_id::parse("parent_id", &row.get::<String>("parent_id")?)?;
        parents.entry(group).or_default().push(parent);
    }
    for group in &mut groups {
        group.parents = parents.remove(&group.id).unwrap_or_default();
    }
    Ok(groups)
}

fn read(row: &Row) -> Result<StoredGroup> {
    Ok(StoredGroup {
        id: group_id::parse("id", &row.get::<String>("id")?)?,
        name: row.get("name")?,
        description: row.get("description")?,
        content: row.json("content")?,
        parents: Vec::new(),
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
