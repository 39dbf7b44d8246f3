//! Keys of the management API. Their secrets are random, so a plain hash finds and hides them.

use std::collections::BTreeSet;

use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ManagementKeyId, PermissionId};

use crate::error::Result;
use crate::sql::{Row, query, to_json};
use crate::tx::{Db, Tx};

/// A key of the management API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementKey {
    /// Its id.
    pub id: ManagementKeyId,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// The start of the secret, which tells keys apart and nothing more.
    pub key_prefix: String,
    /// What it may do; `None` = everything, also what later versions add.
    pub scopes: Option<BTreeSet<PermissionId>>,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl ManagementKey {
    /// Whether it may do what needs `permission`.
    pub fn allows(&self, permission: PermissionId) -> bool {
        self.scopes
            .as_ref()
            .is_none_or(|scopes| scopes.contains(&permission))
    }
}

/// A management key to be stored.
#[derive(Debug, Clone)]
pub struct NewManagementKey {
    /// Its id.
    pub id: ManagementKeyId,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// SHA-256 of the whole secret.
    pub secret_hash: [u8; 32],
    /// The start of the secret.
    pub key_prefix: String,
    /// As [`ManagementKey::scopes`].
    pub scopes: Option<BTreeSet<PermissionId>>,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
}

/// Stores a key.
///
/// # Errors
/// [`Constraint::ManagementKeySecret`](crate::Constraint::ManagementKeySecret) when the secret is stored already.
pub async fn create(tx: &mut Tx, new: &NewManagementKey, now: Timestamp) -> Result<()> {
    tx.execute(
        query(
            "insert into management_keys
                 (id, name, description, secret_hash, key_prefix, scopes, expires_at, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind_text(new.id)
        .bind(new.name.as_str())
        .bind(new.description.as_deref())
        .bind(new.secret_hash)
        .bind(new.key_prefix.as_str())
        .bind(scopes_text(new.scopes.as_ref())?)
        .bind(new.expires_at)
        .bind(now),
    )
    .await
    .map(drop)
}

/// The key whose secret has this hash, also when it has expired.
pub async fn find_by_hash(
    db: impl Into<Db<'_>>,
    secret_hash: &[u8; 32],
) -> Result<Option<ManagementKey>> {
    db.into()
        .row(
            query(
                "select id, name, description, key_prefix, scopes, expires_at, last_used_at, created_at, updated_at
                 from management_keys where secret_hash = $1",
            )
            .bind(*secret_hash),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The key with this id.
pub async fn find(db: impl Into<Db<'_>>, id: ManagementKeyId) -> Result<Option<ManagementKey>> {
    db.into()
        .row(
            query(
                "select id, name, description, key_prefix, scopes, expires_at, last_used_at, created_at, updated_at
                 from management_keys where id = $1",
            )
            .bind_text(id),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Every key, oldest first: an installation has few.
pub async fn all(db: impl Into<Db<'_>>) -> Result<Vec<ManagementKey>> {
    db.into()
        .rows(query(
            "select id, name, description, key_prefix, scopes, expires_at, last_used_at, created_at, updated_at
             from management_keys order by created_at, id",
        ))
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Whether there is a key.
pub async fn exist(db: impl Into<Db<'_>>) -> Result<bool> {
    let found = db
        .into()
        .row(query("select id from management_keys limit 1"))
        .await?;
    Ok(found.is_some())
}

/// Changes everything of a key but its secret. False when there is no such key.
pub async fn update(tx: &mut Tx, key: &ManagementKey, now: Timestamp) -> Result<bool> {
    tx.execute(
        query(
            "update management_keys
             set name = $2, description = $3, scopes = $4, expires_at = $5, updated_at = $6 where id = $1",
        )
        .bind_text(key.id)
        .bind(key.name.as_str())
        .bind(key.description.as_deref())
        .bind(scopes_text(key.scopes.as_ref())?)
        .bind(key.expires_at)
        .bind(now),
    )
    .await
    .map(|rows| rows > 0)
}

/// Deletes a key. False when there is no such key.
pub async fn delete(tx: &mut Tx, id: ManagementKeyId) -> Result<bool> {
    tx.execute(query("delete from management_keys where id = $1").bind_text(id))
        .await
        .map(|rows| rows > 0)
}

/// Notes that a key was used. Callers do this at most once a minute for each key.
pub async fn touch(tx: &mut Tx, id: ManagementKeyId, now: Timestamp) -> Result<()> {
    tx.execute(
        query("update management_keys set last_used_at = $2 where id = $1")
            .bind_text(id)
            .bind(now),
    )
    .await
    .map(drop)
}

fn scopes_text(scopes: Option<&BTreeSet<PermissionId>>) -> Result<Option<String>> {
    scopes.map(|scopes| to_json("scopes", scopes)).transpose()
}

fn read(row: &Row) -> Result<ManagementKey> {
    Ok(ManagementKey {
        id: row.parse("id")?,
        name: row.get("name")?,
        description: row.get("description")?,
        key_prefix: row.get("key_prefix")?,
        scopes: row.json_opt("scopes")?,
        expires_at: row.instant_opt("expires_at")?,
        last_used_at: row.instant_opt("last_used_at")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
