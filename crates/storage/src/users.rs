//! Users: people, and agents that act as one.

use std::collections::HashSet;

use tollgate_domain::Timestamp;
use tollgate_domain::ids::{RoleId, UserId, VirtualKeyId};
use tollgate_domain::snapshot::SnapshotChange;

use crate::error::Result;
use crate::lists::{self, List, Wanted};
use crate::page::{Page, PageRequest};
use crate::search;
use crate::sql::{MAX_VALUES, Query, Row, query};
use crate::tx::{Db, Tx};

const LIST: List = List {
    kind: "users",
    table: "users",
    position: "position",
    select: "select id, name, email, role_id, is_active, created_at, updated_at from users where true",
    found_id: "entity_id",
};

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// For people.
    pub name: String,
    /// Unique without regard to case.
    pub email: String,
    /// The role on the management API.
    pub role_id: Option<RoleId>,
    /// When not, every key of the user is refused.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Which users.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserFilter {
    /// A part of the name or e-mail address.
    pub search: Option<String>,
    /// With this role.
    pub role: Option<RoleId>,
}

/// Stores a user, whose instants are both `user.created_at`.
///
/// # Errors
/// [`Constraint::UserEmail`](crate::Constraint::UserEmail) when the address is taken;
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such role.
pub async fn create(tx: &mut Tx, user: &User) -> Result<()> {
    let text = search::text(&[&user.name, &user.email]);
    let position = tx
        .returned_id(
        query(
            "insert into users (id, name, email, email_key, role_id, is_active, search_text, created_at, updated_at,
                 position)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8, (select coalesce(max(position), 0) + 1 from users))
             returning position as id",
        )
        .bind_text(user.id)
        .bind(user.name.as_str())
        .bind(user.email.as_str())
        .bind(user.email.to_lowercase())
        .bind(user.role_id.map(|id| id.0))
        .bind(user.is_active)
        .bind(text.as_str())
        .bind(user.created_at),
    )
    .await?;
    search::index(tx, LIST.kind, &user.id.to_string(), "", &text).await?;
    lists::added(tx, LIST.kind, position).await?;
    tx.changed(SnapshotChange::User(user.id));
    Ok(())
}

/// The user with this id.
pub async fn find(db: impl Into<Db<'_>>, id: UserId) -> Result<Option<User>> {
    db.into()
        .row(
            query(
                "select id, name, email, role_id, is_active, created_at, updated_at from users where id = $1",
            )
            .bind_text(id),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Those of `ids` that do not exist.
pub async fn missing(db: impl Into<Db<'_>>, ids: &[UserId]) -> Result<Vec<UserId>> {
    let mut db = db.into();
    let mut found = HashSet::new();
    for piece in ids.chunks(MAX_VALUES) {
        let mut statement = query("select id from users where id in ");
        statement.push_list(piece.iter().map(ToString::to_string));
        for row in db.rows(statement).await? {
            found.insert(row.parse::<UserId>("id")?);
        }
    }
    let missing = ids.iter().copied().filter(|id| !found.contains(id));
    Ok(missing.collect())
}

/// The user with this e-mail address, whose case does not matter.
pub async fn find_by_email(db: impl Into<Db<'_>>, email: &str) -> Result<Option<User>> {
    db.into()
        .row(
            query(
                "select id, name, email, role_id, is_active, created_at, updated_at from users where email_key = $1",
            )
            .bind(email.to_lowercase()),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The users that `filter` lets through, oldest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &UserFilter,
    page: PageRequest,
) -> Result<Page<User>> {
    let of_role = |query: &mut Query| {
        if let Some(role) = filter.role {
            query.push(" and role_id = ");
            query.push_value(role.0);
        }
    };
    let wanted = Wanted {
        text: filter.search.as_deref(),
        filter: of_role,
        is_selective: false,
    };
    let (rows, total) = lists::page(&mut db.into(), &LIST, wanted, page).await?;
    let items = rows.iter().map(read).collect::<Result<_>>()?;
    Ok(Page { items, total })
}

/// A batch of a walk through all users: at most `limit`, in the order of ids, after `after`.
pub(crate) async fn batch(db: &mut Db<'_>, after: Option<UserId>, limit: u32) -> Result<Vec<User>> {
    db.rows(
        query(
            "select id, name, email, role_id, is_active, created_at, updated_at from users
             where id > $1 order by id limit $2",
        )
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(i64::from(limit)),
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Stores a changed user, as of `user.updated_at`. False when there is no such user.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, user: &User) -> Result<bool> {
    let text = search::text(&[&user.name, &user.email]);
    let id = user.id.to_string();
    let before = search::text_before(tx, LIST.table, id.as_str()).await?;
    let changed = tx
        .row(
            query(
                "update users set name = $2, email = $3, email_key = $4, role_id = $5, is_active = $6,
                     search_text = $7, updated_at = $8
                 where id = $1 returning position",
            )
            .bind(id.as_str())
            .bind(user.name.as_str())
            .bind(user.email.as_str())
            .bind(user.email.to_lowercase())
            .bind(user.role_id.map(|id| id.0))
            .bind(user.is_active)
            .bind(text.as_str())
            .bind(user.updated_at),
        )
        .await?;
    let Some(row) = changed else {
        return Ok(false);
    };
    search::index(tx, LIST.kind, &id, &before, &text).await?;
    lists::changed(tx, LIST.kind, row.get("position")?).await?;
    tx.changed(SnapshotChange::User(user.id));
    Ok(true)
}

/// Deletes a user with all copies and keys. False when there is no such user.
pub async fn delete(tx: &mut Tx, id: UserId) -> Result<bool> {
    let keys = tx
        .rows(query("select id from virtual_keys where user_id = $1").bind_text(id))
        .await?;
    for row in &keys {
        let key: VirtualKeyId = row.parse("id")?;
        crate::virtual_keys::delete(tx, key).await?;
    }
    let deleted = tx
        .row(query("delete from users where id = $1 returning position, search_text").bind_text(id))
        .await?;
    let Some(row) = deleted else {
        return Ok(false);
    };
    search::remove(tx, LIST.kind, &id.to_string(), &row).await?;
    lists::removed(tx, LIST.kind, row.get("position")?).await?;
    tx.changed(SnapshotChange::User(id));
    Ok(true)
}

fn read(row: &Row) -> Result<User> {
    Ok(User {
        id: row.parse("id")?,
        name: row.get("name")?,
        email: row.get("email")?,
        role_id: row.get::<Option<i64>>("role_id")?.map(RoleId),
        is_active: row.get("is_active")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
