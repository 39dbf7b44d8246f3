//! The access profile of a group: one copy, whose counters all members share.

use std::collections::BTreeMap;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::{CopyId, ProfileId};
use tollgate_domain::snapshot::{GroupId, GroupProfileMode, SnapshotChange};

use crate::error::{Result, StorageError};
use crate::group_id;
use crate::sql::{Query, Row, corrupt, query, to_json};
use crate::tx::{Db, Tx};

/// A group's copy of a profile. One that was taken away stays, as with users.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupCopy {
    /// Its id.
    pub id: CopyId,
    /// The group.
    pub group: GroupId,
    /// The template.
    pub parent_profile_id: ProfileId,
    /// Whether it adds to the members' own grants, or caps them.
    pub mode: GroupProfileMode,
    /// The template's name at the last propagation.
    pub name: String,
    /// The template's version that the content is from.
    pub profile_version: i64,
    /// Whether it grants anything.
    pub is_active: bool,
    /// The anchor of its windows.
    pub assigned_at: Timestamp,
    /// When it was taken away; `None` = the group has it.
    pub detached_at: Option<Timestamp>,
    /// What it grants and limits.
    pub content: ProfileContent,
    /// When it was first made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "select group_id, id, parent_profile_id, mode, name, profile_version, is_active, assigned_at, \
                      detached_at, content, created_at, updated_at from group_profiles where ";

/// Stores a group's copy, in the place of an older one of the same profile. Callers take a copy of another profile away
/// first: a group has one.
///
/// # Errors
/// [`StorageError::Reference`] when there is no such group or profile.
pub async fn put(tx: &mut Tx, copy: &GroupCopy) -> Result<()> {
    tx.execute(
        query(
            "insert into group_profiles (group_id, id, parent_profile_id, mode, name, profile_version, is_active,
                 assigned_at, detached_at, content, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict (group_id, parent_profile_id) do update set
                 mode = excluded.mode, name = excluded.name, profile_version = excluded.profile_version,
                 is_active = excluded.is_active, assigned_at = excluded.assigned_at,
                 detached_at = excluded.detached_at, content = excluded.content, updated_at = excluded.updated_at",
        )
        .bind(group_id::text(copy.group))
        .bind_text(copy.id)
        .bind(copy.parent_profile_id.0)
        .bind(mode_text(copy.mode))
        .bind(copy.name.as_str())
        .bind(copy.profile_version)
        .bind(copy.is_active)
        .bind(copy.assigned_at)
        .bind(copy.detached_at)
        .bind(to_json("content", &copy.content)?)
        .bind(copy.created_at)
        .bind(copy.updated_at),
    )
    .await?;
    tx.changed(SnapshotChange::Group(copy.group));
    Ok(())
}

/// The copy that a group has now.
pub async fn find(db: impl Into<Db<'_>>, group: GroupId) -> Result<Option<GroupCopy>> {
    Ok(of_groups(db, &[group]).await?.remove(&group))
}

/// The group's copy of this profile, held or detached.
pub async fn find_of(
    db: impl Into<Db<'_>>,
    group: GroupId,
    profile: ProfileId,
) -> Result<Option<GroupCopy>> {
    let mut statement = query(SELECT);
    statement.push("group_id = ");
    statement.push_value(group_id::text(group));
    statement.push(" and parent_profile_id = ");
    statement.push_value(profile.0);
    Ok(read_all(&mut db.into(), statement).await?.pop())
}

/// The copies that these groups have now. Callers ask for a bounded number of groups.
pub async fn of_groups(
    db: impl Into<Db<'_>>,
    groups: &[GroupId],
) -> Result<BTreeMap<GroupId, GroupCopy>> {
    let mut statement = query(SELECT);
    statement.push("detached_at is null and group_id in ");
    statement.push_list(groups.iter().map(|group| group_id::text(*group)));
    let copies = read_all(&mut db.into(), statement).await?;
    Ok(copies.into_iter().map(|copy| (copy.group, copy)).collect())
}

/// The groups that have a profile now.
pub async fn of_profile(db: impl Into<Db<'_>>, profile: ProfileId) -> Result<Vec<GroupCopy>> {
    let mut statement = query(SELECT);
    statement.push("detached_at is null and parent_profile_id = ");
    statement.push_value(profile.0);
    statement.push(" order by group_id");
    read_all(&mut db.into(), statement).await
}

/// Takes a group's copy away. False when it has none.
pub async fn detach(tx: &mut Tx, group: GroupId, now: Timestamp) -> Result<bool> {
    let detached = tx
        .execute(
            query(
                "update group_profiles set detached_at = $2, updated_at = $2
                 where group_id = $1 and detached_at is null",
            )
            .bind(group_id::text(group))
            .bind(now),
        )
        .await?
        > 0;
    if detached {
        tx.changed(SnapshotChange::Group(group));
    }
    Ok(detached)
}

async fn read_all(db: &mut Db<'_>, statement: Query) -> Result<Vec<GroupCopy>> {
    db.rows(statement).await?.iter().map(read).collect()
}

const fn mode_text(mode: GroupProfileMode) -> &'static str {
    match mode {
        GroupProfileMode::Unite => "unite",
        GroupProfileMode::Restrict => "restrict",
    }
}

fn read_mode(row: &Row) -> Result<GroupProfileMode> {
    match row.get::<String>("mode")?.as_str() {
        "unite" => Ok(GroupProfileMode::Unite),
        "restrict" => Ok(GroupProfileMode::Restrict),
        _ => Err::<_, StorageError>(corrupt("mode", "neither `unite` nor `restrict`")),
    }
}

fn read(row: &Row) -> Result<GroupCopy> {
    Ok(GroupCopy {
        id: row.parse("id")?,
        group: group_id::parse("group_id", &row.get::<String>("group_id")?)?,
        parent_profile_id: ProfileId(row.get("parent_profile_id")?),
        mode: read_mode(row)?,
        name: row.get("name")?,
        profile_version: row.get("profile_version")?,
        is_active: row.get("is_active")?,
        assigned_at: row.instant("assigned_at")?,
        detached_at: row.instant_opt("detached_at")?,
        content: row.json("content")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
