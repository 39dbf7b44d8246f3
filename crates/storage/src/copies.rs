//! Users' copies of access profiles.
//!
//! A copy that is taken away stays as a detached row, so that giving the same profile back finds the same limit lines
//! and with them the same counters.

pub mod expiry;
pub mod overrides;

use std::collections::BTreeMap;
use std::str::FromStr;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::UserCopy;
use tollgate_domain::ids::{CopyId, ProfileId, UserId};
use tollgate_domain::snapshot::SnapshotChange;

use crate::error::{Result, StorageError};
use crate::sql::{Query, Row, query, to_json};
use crate::tx::{Db, Tx};

/// How a user came by a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopySource {
    /// With the role; a role change takes it away again.
    Role,
    /// By hand.
    Hand,
}

impl CopySource {
    /// As the database writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::Hand => "hand",
        }
    }
}

impl FromStr for CopySource {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        match text {
            "role" => Ok(Self::Role),
            "hand" => Ok(Self::Hand),
            _ => Err("neither `role` nor `hand`"),
        }
    }
}

/// A copy with what only the management API looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCopy {
    /// The copy, with its overrides.
    pub copy: UserCopy,
    /// How the user came by it.
    pub source: CopySource,
    /// When it was taken away; `None` = the user holds it.
    pub detached_at: Option<Timestamp>,
    /// When it was first made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "select id, user_id, parent_profile_id, name, profile_version, is_active, expires_at, priority, \
                      assigned_at, source, detached_at, content, created_at, updated_at from user_copies where true";

/// Stores a new copy. Its overrides are stored by [`overrides::put`].
///
/// # Errors
/// [`Constraint::UserCopy`](crate::Constraint::UserCopy) when the user has one of this profile, held or detached;
/// [`StorageError::Reference`] when there is no such user or profile.
pub async fn create(tx: &mut Tx, stored: &StoredCopy) -> Result<()> {
    let copy = &stored.copy;
    tx.execute(
        query(
            "insert into user_copies (id, user_id, parent_profile_id, name, profile_version, is_active, expires_at,
                 expiry_due_at, priority, assigned_at, source, detached_at, content, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind_text(copy.id)
        .bind_text(copy.user_id)
        .bind(copy.parent_profile_id.0)
        .bind(copy.name.as_str())
        .bind(copy.profile_version)
        .bind(copy.is_active)
        .bind(copy.expires_at)
        .bind(copy.priority)
        .bind(copy.assigned_at)
        .bind(stored.source.as_str())
        .bind(stored.detached_at)
        .bind(to_json("content", &copy.content)?)
        .bind(stored.created_at)
        .bind(stored.updated_at),
    )
    .await?;
    tx.changed(SnapshotChange::User(copy.user_id));
    Ok(())
}

/// The copy with this id, held or detached.
pub async fn find(db: impl Into<Db<'_>>, id: CopyId) -> Result<Option<StoredCopy>> {
    let mut statement = query(SELECT);
    statement.push(" and id = ");
    statement.push_value(id.to_string());
    Ok(read_all(&mut db.into(), statement).await?.pop())
}

/// The user's copy of this profile, held or detached.
pub async fn find_of(
    db: impl Into<Db<'_>>,
    user: UserId,
    profile: ProfileId,
) -> Result<Option<StoredCopy>> {
    let mut statement = query(SELECT);
    statement.push(" and user_id = ");
    statement.push_value(user.to_string());
    statement.push(" and parent_profile_id = ");
    statement.push_value(profile.0);
    Ok(read_all(&mut db.into(), statement).await?.pop())
}

/// The copies that a user holds, in the order in which they pay.
pub async fn of_user(db: impl Into<Db<'_>>, user: UserId) -> Result<Vec<StoredCopy>> {
    of_users(db, &[user]).await
}

/// The copies that these users hold, in the order in which they pay. Callers ask for a bounded number of users.
pub async fn of_users(db: impl Into<Db<'_>>, users: &[UserId]) -> Result<Vec<StoredCopy>> {
    let mut statement = query(SELECT);
    statement.push(" and detached_at is null and user_id in ");
    statement.push_list(users.iter().map(ToString::to_string));
    statement.push(" order by priority, assigned_at, id");
    read_all(&mut db.into(), statement).await
}

/// Copies of a profile that users hold, in the order of user ids, after `after`, at most `limit`: a batch of a walk
/// through all holders.
pub async fn of_profile(
    db: impl Into<Db<'_>>,
    profile: ProfileId,
    after: Option<UserId>,
    limit: u32,
) -> Result<Vec<StoredCopy>> {
    let mut statement = query(SELECT);
    statement.push(" and parent_profile_id = ");
    statement.push_value(profile.0);
    statement.push(" and detached_at is null");
    if let Some(after) = after {
        statement.push(" and user_id > ");
        statement.push_value(after.to_string());
    }
    statement.push(" order by user_id limit ");
    statement.push_value(i64::from(limit));
    read_all(&mut db.into(), statement).await
}

/// How many users hold a profile.
pub async fn count_of_profile(db: impl Into<Db<'_>>, profile: ProfileId) -> Result<u64> {
    db.into()
        .count(
            query(
                "select count(*) as amount from user_copies where parent_profile_id = $1 and detached_at is null",
            )
            .bind(profile.0),
        )
        .await
}

/// Stores a changed copy, as of `stored.updated_at`; user and profile stay. Setting `detached_at` takes the copy away,
/// clearing it gives it back. Overrides are stored by [`overrides::put`].
///
/// # Errors
/// [`StorageError::Reference`] when there is no such copy.
pub async fn update(tx: &mut Tx, stored: &StoredCopy) -> Result<()> {
    let copy = &stored.copy;
    let changed = tx
        .execute(
            query(
                "update user_copies set name = $2, profile_version = $3, is_active = $4, expires_at = $5,
                     expiry_due_at = case when coalesce(expires_at, -1) = coalesce($5, -1) then expiry_due_at else $5 end,
                     priority = $6, assigned_at = $7, source = $8, detached_at = $9, content = $10, updated_at = $11
                 where id = $1",
            )
            .bind_text(copy.id)
            .bind(copy.name.as_str())
            .bind(copy.profile_version)
            .bind(copy.is_active)
            .bind(copy.expires_at)
            .bind(copy.priority)
            .bind(copy.assigned_at)
            .bind(stored.source.as_str())
            .bind(stored.detached_at)
            .bind(to_json("content", &copy.content)?)
            .bind(stored.updated_at),
        )
        .await?;
    if changed == 0 {
        return Err(StorageError::Reference);
    }
    tx.changed(SnapshotChange::User(copy.user_id));
    Ok(())
}

async fn read_all(db: &mut Db<'_>, statement: Query) -> Result<Vec<StoredCopy>> {
    let mut copies: Vec<StoredCopy> = db
        .rows(statement)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_>>()?;
    let ids: Vec<CopyId> = copies.iter().map(|stored| stored.copy.id).collect();
    let mut found = overrides::of_copies(db.again(), &ids).await?;
    for stored in &mut copies {
        let overrides = found.remove(&stored.copy.id).unwrap_or_default();
        stored.copy.overrides = overrides
            .iter()
            .map(|each| (each.budget, each.boost()))
            .collect();
    }
    Ok(copies)
}

fn read(row: &Row) -> Result<StoredCopy> {
    Ok(StoredCopy {
        copy: UserCopy {
            id: row.parse("id")?,
            user_id: row.parse("user_id")?,
            parent_profile_id: ProfileId(row.get("parent_profile_id")?),
            name: row.get("name")?,
            profile_version: row.get("profile_version")?,
            is_active: row.get("is_active")?,
            expires_at: row.instant_opt("expires_at")?,
            priority: row.get("priority")?,
            assigned_at: row.instant("assigned_at")?,
            content: row.json("content")?,
            overrides: BTreeMap::new(),
        },
        source: row.parse("source")?,
        detached_at: row.instant_opt("detached_at")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
