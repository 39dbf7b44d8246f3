//! Roles of the management API, and what they may do.

use std::collections::BTreeSet;

use tollgate_domain::Timestamp;
use tollgate_domain::ids::{PermissionId, RoleId};
use tollgate_domain::permission::{Permission, SystemRole};

use crate::error::Result;
use crate::sql::{Row, query};
use crate::tx::{Db, Tx};

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// Unique without regard to case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Whether every installation has it; then it cannot be deleted.
    pub is_system: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// Makes a role that may do nothing yet.
///
/// # Errors
/// [`Constraint::RoleName`](crate::Constraint::RoleName) when the name is taken.
pub async fn create(
    tx: &mut Tx,
    name: &str,
    description: Option<&str>,
    now: Timestamp,
) -> Result<RoleId> {
    insert(tx, name, description, false, now).await
}

async fn insert(
    tx: &mut Tx,
    name: &str,
    description: Option<&str>,
    is_system: bool,
    now: Timestamp,
) -> Result<RoleId> {
    tx.returned_id(
        query(
            "insert into roles (name, name_key, description, is_system, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5) returning id",
        )
        .bind(name)
        .bind(name.to_lowercase())
        .bind(description)
        .bind(is_system)
        .bind(now),
    )
    .await
    .map(RoleId)
}

/// The role with this id.
pub async fn find(db: impl Into<Db<'_>>, id: RoleId) -> Result<Option<Role>> {
    db.into()
        .row(
            query(
                "select id, name, description, is_system, created_at, updated_at from roles where id = $1",
            )
            .bind(id.0),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The role with this name, whose case does not matter.
pub async fn find_by_name(db: impl Into<Db<'_>>, name: &str) -> Result<Option<Role>> {
    db.into()
        .row(
            query(
                "select id, name, description, is_system, created_at, updated_at from roles where name_key = $1",
            )
            .bind(name.to_lowercase()),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Every role, oldest first. Roles are few.
pub async fn list(db: impl Into<Db<'_>>) -> Result<Vec<Role>> {
    db.into()
        .rows(query(
            "select id, name, description, is_system, created_at, updated_at from roles order by id",
        ))
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Changes a role's name and description. False when there is no such role.
///
/// # Errors
/// [`Constraint::RoleName`](crate::Constraint::RoleName) when the name is taken.
pub async fn update(
    tx: &mut Tx,
    id: RoleId,
    name: &str,
    description: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    tx.execute(
        query("update roles set name = $2, name_key = $3, description = $4, updated_at = $5 where id = $1")
            .bind(id.0)
            .bind(name)
            .bind(name.to_lowercase())
            .bind(description)
            .bind(now),
    )
    .await
    .map(|rows| rows > 0)
}

/// Deletes a role with its permissions and attachments. False when there is no such role.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) while users have it.
pub async fn delete(tx: &mut Tx, id: RoleId) -> Result<bool> {
    tx.execute(query("delete from roles where id = $1").bind(id.0))
        .await
        .map(|rows| rows > 0)
}

/// What a role may do.
pub async fn permissions(db: impl Into<Db<'_>>, id: RoleId) -> Result<BTreeSet<PermissionId>> {
    db.into()
        .rows(query("select permission_id from role_permissions where role_id = $1").bind(id.0))
        .await?
        .iter()
        .map(|row| row.get("permission_id").map(PermissionId))
        .collect()
}

/// Replaces what a role may do.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such role.
pub async fn set_permissions(
    tx: &mut Tx,
    id: RoleId,
    permissions: &BTreeSet<PermissionId>,
) -> Result<()> {
    tx.execute(query("delete from role_permissions where role_id = $1").bind(id.0))
        .await?;
    for permission in permissions {
        tx.execute(
            query("insert into role_permissions (role_id, permission_id) values ($1, $2)")
                .bind(id.0)
                .bind(permission.0),
        )
        .await?;
    }
    Ok(())
}

/// Makes the system roles in a new database. Later edits of them stay.
pub(crate) async fn ensure_system_roles(tx: &mut Tx, now: Timestamp) -> Result<()> {
    for role in SystemRole::ALL {
        if find_by_name(&mut *tx, role.name()).await?.is_none() {
            let id = insert(tx, role.name(), Some(role.description()), true, now).await?;
            let permissions = role.permissions().into_iter().map(Permission::id).collect();
            set_permissions(tx, id, &permissions).await?;
        }
    }
    Ok(())
}

fn read(row: &Row) -> Result<Role> {
    Ok(Role {
        id: RoleId(row.get("id")?),
        name: row.get("name")?,
        description: row.get("description")?,
        is_system: row.get("is_system")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
