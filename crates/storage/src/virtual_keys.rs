//! Virtual keys: what callers of the data plane show. The secret itself is never stored.

pub mod waiting;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::snapshot::{GroupId, KeyHash, KeyHolder, SnapshotChange};

use crate::error::Result;
use crate::group_id;
use crate::lists::{self, List, Wanted};
use crate::page::{Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, corrupt, query, to_json};
use crate::tx::{Db, Tx};

const LIST: List = List {
    kind: "virtual_keys",
    table: "virtual_keys",
    position: "position",
    select: COLUMNS,
    found_id: "entity_id",
};

/// A virtual key.
#[derive(Debug, Clone, PartialEq)]
pub struct VirtualKey {
    /// Its id, which rotation keeps.
    pub id: VirtualKeyId,
    /// Unique without regard to case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// For whom it speaks.
    pub holder: KeyHolder,
    /// Whether it came with an access profile; then its holder's copies decide what it may do.
    pub is_managed: bool,
    /// Whether it opens anything.
    pub is_active: bool,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// What can be shown of the secret.
    pub masked_value: String,
    /// Until when the secret before the last rotation is honoured too.
    pub previous_until: Option<Timestamp>,
    /// Its own grants and limits: they cap the holder's copies, or are the grant itself when the holder has none.
    pub content: ProfileContent,
    /// When it was made; the anchor of its windows.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Which keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VirtualKeyFilter {
    /// A part of the name.
    pub search: Option<String>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Of this team or customer.
    pub group: Option<GroupId>,
}

const COLUMNS: &str = "select id, name, description, masked_value, previous_until, user_id, group_id, is_managed, \
                       is_active, expires_at, content, created_at, updated_at from virtual_keys where true";

const WITH_SECRETS: &str = "select id, name, description, masked_value, previous_until, user_id, group_id, \
                            is_managed, is_active, expires_at, content, created_at, updated_at, secret_hash, \
                            previous_hash from virtual_keys where true";

/// Stores a key under the hash of its secret.
///
/// # Errors
/// [`Constraint::VirtualKeyName`](crate::Constraint::VirtualKeyName) when the name is taken,
/// [`Constraint::VirtualKeySecret`](crate::Constraint::VirtualKeySecret) when the secret is in use;
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such holder.
pub async fn create(tx: &mut Tx, key: &VirtualKey, secret_hash: &KeyHash) -> Result<()> {
    let (user, group) = holder_columns(key.holder);
    let text = search::text(&[&key.name]);
    let position = tx
        .returned_id(
        query(
            "insert into virtual_keys (id, name, name_key, description, secret_hash, masked_value, user_id, group_id,
                 is_managed, is_active, expires_at, content, search_text, created_at, updated_at, position)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14,
                 (select coalesce(max(position), 0) + 1 from virtual_keys))
             returning position as id",
        )
        .bind_text(key.id)
        .bind(key.name.as_str())
        .bind(key.name.to_lowercase())
        .bind(key.description.as_deref())
        .bind(*secret_hash)
        .bind(key.masked_value.as_str())
        .bind(user)
        .bind(group)
        .bind(key.is_managed)
        .bind(key.is_active)
        .bind(key.expires_at)
        .bind(to_json("content", &key.content)?)
        .bind(text.as_str())
        .bind(key.created_at),
    )
    .await?;
    search::index(tx, LIST.kind, &key.id.to_string(), "", &text).await?;
    lists::added(tx, LIST.kind, position).await?;
    tx.changed(SnapshotChange::Key(key.id));
    Ok(())
}

/// The key with this id.
pub async fn find(db: impl Into<Db<'_>>, id: VirtualKeyId) -> Result<Option<VirtualKey>> {
    let mut statement = query(COLUMNS);
    statement.push(" and id = ");
    statement.push_value(id.to_string());
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The key whose present secret has this hash, or whose older secret has it and is still honoured at `now`.
pub async fn find_by_hash(
    db: impl Into<Db<'_>>,
    secret_hash: &KeyHash,
    now: Timestamp,
) -> Result<Option<VirtualKey>> {
    let mut statement = query(COLUMNS);
    statement.push(" and (secret_hash = ");
    statement.push_value(*secret_hash);
    statement.push(" or previous_hash = ");
    statement.push_value(*secret_hash);
    statement.push(" and previous_until > ");
    statement.push_value(now);
    statement.push(")");
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// All keys of a user, oldest first.
pub async fn of_user(db: impl Into<Db<'_>>, user: UserId) -> Result<Vec<VirtualKey>> {
    let mut statement = query(COLUMNS);
    statement.push(" and user_id = ");
    statement.push_value(user.to_string());
    statement.push(" order by created_at, id");
    db.into().rows(statement).await?.iter().map(read).collect()
}

/// The keys that `filter` lets through, oldest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &VirtualKeyFilter,
    page: PageRequest,
) -> Result<Page<VirtualKey>> {
    let of_holder = |query: &mut Query| {
        if let Some(user) = filter.user {
            query.push(" and user_id = ");
            query.push_value(user.to_string());
        }
        if let Some(group) = filter.group {
            query.push(" and group_id = ");
            query.push_value(group_id::text(group));
        }
    };
    let wanted = Wanted {
        text: filter.search.as_deref(),
        filter: of_holder,
        is_selective: filter.user.is_some() || filter.group.is_some(),
    };
    let (rows, total) = lists::page(&mut db.into(), &LIST, wanted, page).await?;
    let items = rows.iter().map(read).collect::<Result<_>>()?;
    Ok(Page { items, total })
}

/// Hashes of a key's secrets, with the end of the grace time of an older one.
pub(crate) type Secrets = Vec<(KeyHash, Option<Timestamp>)>;

/// The key with this id, with the hashes of its secrets.
pub(crate) async fn with_secrets(
    db: &mut Db<'_>,
    id: VirtualKeyId,
) -> Result<Option<(VirtualKey, Secrets)>> {
    let mut statement = query(WITH_SECRETS);
    statement.push(" and id = ");
    statement.push_value(id.to_string());
    db.row(statement)
        .await?
        .map(|row| Ok((read(&row)?, read_secrets(&row)?)))
        .transpose()
}

/// A batch of a walk through all keys: at most `limit`, in the order of ids, after `after`.
pub(crate) async fn batch(
    db: &mut Db<'_>,
    after: Option<VirtualKeyId>,
    limit: u32,
) -> Result<Vec<(VirtualKey, Secrets)>> {
    let mut statement = query(WITH_SECRETS);
    statement.push(" and id > ");
    statement.push_value(after.map(|id| id.to_string()).unwrap_or_default());
    statement.push(" order by id limit ");
    statement.push_value(i64::from(limit));
    db.rows(statement)
        .await?
        .iter()
        .map(|row| Ok((read(row)?, read_secrets(row)?)))
        .collect()
}

/// Stores a changed key, as of `key.updated_at`; its secret stays. False when there is no such key.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, key: &VirtualKey) -> Result<bool> {
    let (user, group) = holder_columns(key.holder);
    let text = search::text(&[&key.name]);
    let id = key.id.to_string();
    let before = search::text_before(tx, LIST.table, id.as_str()).await?;
    let changed = tx
        .row(
            query(
                "update virtual_keys set name = $2, name_key = $3, description = $4, user_id = $5, group_id = $6,
                     is_managed = $7, is_active = $8, expires_at = $9, content = $10, search_text = $11,
                     updated_at = $12
                 where id = $1 returning position",
            )
            .bind(id.as_str())
            .bind(key.name.as_str())
            .bind(key.name.to_lowercase())
            .bind(key.description.as_deref())
            .bind(user)
            .bind(group)
            .bind(key.is_managed)
            .bind(key.is_active)
            .bind(key.expires_at)
            .bind(to_json("content", &key.content)?)
            .bind(text.as_str())
            .bind(key.updated_at),
        )
        .await?;
    let Some(row) = changed else {
        return Ok(false);
    };
    search::index(tx, LIST.kind, &id, &before, &text).await?;
    lists::changed(tx, LIST.kind, row.get("position")?).await?;
    tx.changed(SnapshotChange::Key(key.id));
    Ok(true)
}

/// A new secret for a key.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// Its hash.
    pub secret_hash: &'a KeyHash,
    /// What can be shown of it.
    pub masked_value: &'a str,
    /// Until when the old secret is honoured too; `None` = not at all.
    pub honour_old_until: Option<Timestamp>,
    /// When the rotation happens.
    pub at: Timestamp,
}

/// Gives a key a new secret; id, counters and everything else stay. A secret that still waits to be collected is
/// forgotten: it opens nothing any more. False when there is no such key.
///
/// # Errors
/// [`Constraint::VirtualKeySecret`](crate::Constraint::VirtualKeySecret) when the secret is in use.
pub async fn rotate(tx: &mut Tx, id: VirtualKeyId, rotation: Rotation<'_>) -> Result<bool> {
    let keep = rotation.honour_old_until.is_some();
    let changed = tx
        .execute(
            query(
                "update virtual_keys
                 set previous_hash = case when $2 then secret_hash else null end, previous_until = $3,
                     secret_hash = $4, masked_value = $5, updated_at = $6
                 where id = $1",
            )
            .bind_text(id)
            .bind(keep)
            .bind(rotation.honour_old_until)
            .bind(*rotation.secret_hash)
            .bind(rotation.masked_value)
            .bind(rotation.at),
        )
        .await?
        > 0;
    if changed {
        tx.execute(query("delete from key_rotations where key_id = $1").bind_text(id))
            .await?;
        tx.changed(SnapshotChange::Key(id));
    }
    Ok(changed)
}

/// Deletes a key. False when there is no such key.
pub async fn delete(tx: &mut Tx, id: VirtualKeyId) -> Result<bool> {
    let deleted = tx
        .row(
            query("delete from virtual_keys where id = $1 returning position, search_text")
                .bind_text(id),
        )
        .await?;
    let Some(row) = deleted else {
        return Ok(false);
    };
    search::remove(tx, LIST.kind, &id.to_string(), &row).await?;
    lists::removed(tx, LIST.kind, row.get("position")?).await?;
    tx.changed(SnapshotChange::Key(id));
    Ok(true)
}

fn holder_columns(holder: KeyHolder) -> (Option<String>, Option<String>) {
    match holder {
        KeyHolder::User(user) => (Some(user.to_string()), None),
        KeyHolder::Group(group) => (None, Some(group_id::text(group))),
        KeyHolder::Itself => (None, None),
    }
}

fn read_holder(row: &Row) -> Result<KeyHolder> {
    if let Some(user) = row.parse_opt("user_id")? {
        return Ok(KeyHolder::User(user));
    }
    Ok(match row.get::<Option<String>>("group_id")? {
        Some(group) => KeyHolder::Group(group_id::parse("group_id", &group)?),
        None => KeyHolder::Itself,
    })
}

fn read(row: &Row) -> Result<VirtualKey> {
    Ok(VirtualKey {
        id: row.parse("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        holder: read_holder(row)?,
        is_managed: row.get("is_managed")?,
        is_active: row.get("is_active")?,
        expires_at: row.instant_opt("expires_at")?,
        masked_value: row.get("masked_value")?,
        previous_until: row.instant_opt("previous_until")?,
        content: row.json("content")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

fn read_secrets(row: &Row) -> Result<Secrets> {
    let hash = |column, bytes: Vec<u8>| -> Result<KeyHash> {
        bytes
            .try_into()
            .map_err(|_| corrupt(column, "not 32 bytes long"))
    };
    let mut secrets = vec![(hash("secret_hash", row.get("secret_hash")?)?, None)];
    if let (Some(previous), Some(until)) = (
        row.get::<Option<Vec<u8>>>("previous_hash")?,
        row.instant_opt("previous_until")?,
    ) {
        secrets.push((hash("previous_hash", previous)?, Some(until)));
    }
    Ok(secrets)
}
