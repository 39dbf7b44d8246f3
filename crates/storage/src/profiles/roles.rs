//! Which roles bring which profile with them.

use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ProfileId, RoleId};

use crate::error::Result;
use crate::sql::{Query, Row, query};
use crate::tx::{Db, Tx};

/// A profile that comes with a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleAttachment {
    /// Its id.
    pub id: i64,
    /// The profile.
    pub profile: ProfileId,
    /// The role.
    pub role: RoleId,
    /// The role's name.
    pub role_name: String,
    /// Whether users who get the role get the profile.
    pub is_default: bool,
    /// When it was attached.
    pub created_at: Timestamp,
}

const SELECT: &str = "select a.id, a.access_profile_id, a.role_id, r.name as role_name, a.is_default, a.created_at \
                      from access_profile_roles a join roles r on r.id = a.role_id where ";

/// Attaches a profile to a role, or changes whether it is the default.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such profile or role.
pub async fn attach(
    tx: &mut Tx,
    profile: ProfileId,
    role: RoleId,
    is_default: bool,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        query(
            "insert into access_profile_roles (access_profile_id, role_id, is_default, created_at)
             values ($1, $2, $3, $4)
             on conflict (access_profile_id, role_id) do update set is_default = excluded.is_default",
        )
        .bind(profile.0)
        .bind(role.0)
        .bind(is_default)
        .bind(now),
    )
    .await
    .map(drop)
}

/// Detaches a profile from a role. False when it was not attached.
pub async fn detach(tx: &mut Tx, profile: ProfileId, role: RoleId) -> Result<bool> {
    tx.execute(
        query("delete from access_profile_roles where access_profile_id = $1 and role_id = $2")
            .bind(profile.0)
            .bind(role.0),
    )
    .await
    .map(|rows| rows > 0)
}

/// The roles of a profile, in the order of attachment.
pub async fn of_profile(db: impl Into<Db<'_>>, profile: ProfileId) -> Result<Vec<RoleAttachment>> {
    let mut statement = query(SELECT);
    statement.push("a.access_profile_id = ");
    statement.push_value(profile.0);
    attachments(&mut db.into(), statement).await
}

/// The profiles of a role, in the order of attachment.
pub async fn of_role(db: impl Into<Db<'_>>, role: RoleId) -> Result<Vec<RoleAttachment>> {
    let mut statement = query(SELECT);
    statement.push("a.role_id = ");
    statement.push_value(role.0);
    attachments(&mut db.into(), statement).await
}

async fn attachments(db: &mut Db<'_>, mut statement: Query) -> Result<Vec<RoleAttachment>> {
    statement.push(" order by a.id");
    db.rows(statement).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<RoleAttachment> {
    Ok(RoleAttachment {
        id: row.get("id")?,
        profile: ProfileId(row.get("access_profile_id")?),
        role: RoleId(row.get("role_id")?),
        role_name: row.get("role_name")?,
        is_default: row.get("is_default")?,
        created_at: row.instant("created_at")?,
    })
}
