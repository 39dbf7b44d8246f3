//! Who belongs to which group.

use std::collections::BTreeMap;

use tollgate_domain::ids::UserId;
use tollgate_domain::snapshot::{GroupId, SnapshotChange};

use super::GroupKind;
use crate::error::Result;
use crate::group_id;
use crate::page::{Counted, Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, query};
use crate::tx::{Db, Tx};

/// A user as a member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The user's name.
    pub name: String,
    /// The user's e-mail address.
    pub email: String,
}

/// Makes a user a member. Nothing changes when the user is one.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such group or user.
pub async fn add(tx: &mut Tx, group: GroupId, user: UserId) -> Result<()> {
    tx.execute(
        query(
            "insert into group_members (group_id, user_id) values ($1, $2)
             on conflict (group_id, user_id) do nothing",
        )
        .bind(group_id::text(group))
        .bind_text(user),
    )
    .await?;
    tx.changed(SnapshotChange::User(user));
    Ok(())
}

/// Ends a membership. False when the user was no member.
pub async fn remove(tx: &mut Tx, group: GroupId, user: UserId) -> Result<bool> {
    let removed = tx
        .execute(
            query("delete from group_members where group_id = $1 and user_id = $2")
                .bind(group_id::text(group))
                .bind_text(user),
        )
        .await?
        > 0;
    if removed {
        tx.changed(SnapshotChange::User(user));
    }
    Ok(removed)
}

const LIST: Counted = Counted {
    table: "group_members join users on users.id = user_id",
    select: "select user_id, users.name, users.email from group_members join users on users.id = user_id where true",
    order: "user_id",
};

/// The members of a group with `wanted` in their name or e-mail address, regardless of case, in the order of their ids.
pub async fn list(
    db: impl Into<Db<'_>>,
    group: GroupId,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<Member>> {
    let searched = |query: &mut Query| {
        query.push(" and group_id = ");
        query.push_value(group_id::text(group));
        if let Some(pattern) = search::pattern(wanted) {
            search::push_any(query, &["users.search_text"], &pattern);
        }
    };
    let read = |row: &Row| {
        Ok(Member {
            user: row.parse("user_id")?,
            name: row.get("name")?,
            email: row.get("email")?,
        })
    };
    LIST.page(&mut db.into(), searched, page, read).await
}

/// The groups of a user.
pub async fn of_user(db: impl Into<Db<'_>>, user: UserId) -> Result<Vec<GroupId>> {
    Ok(of_users(db, &[user])
        .await?
        .remove(&user)
        .unwrap_or_default())
}

/// The groups of these users, in the order of group ids. Callers ask for a bounded number of users.
pub async fn of_users(
    db: impl Into<Db<'_>>,
    users: &[UserId],
) -> Result<BTreeMap<UserId, Vec<GroupId>>> {
    let mut statement = query("select user_id, group_id from group_members where user_id in ");
    statement.push_list(users.iter().map(ToString::to_string));
    statement.push(" order by user_id, group_id");
    let mut groups: BTreeMap<UserId, Vec<GroupId>> = BTreeMap::new();
    for row in db.into().rows(statement).await? {
        let group = group_id::parse("group_id", &row.get::<String>("group_id")?)?;
        groups.entry(row.parse("user_id")?).or_default().push(group);
    }
    Ok(groups)
}

/// Replaces a user's groups of one kind.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such user or group.
pub async fn set_of_user(
    tx: &mut Tx,
    user: UserId,
    kind: GroupKind,
    groups: &[GroupId],
) -> Result<()> {
    tx.execute(
        query(
            "delete from group_members where user_id = $1
             and group_id in (select id from groups where kind = $2)",
        )
        .bind_text(user)
        .bind(kind.as_str()),
    )
    .await?;
    tx.changed(SnapshotChange::User(user));
    for group in groups {
        add(tx, *group, user).await?;
    }
    Ok(())
}

pub(super) async fn all(tx: &mut Tx, group: GroupId) -> Result<Vec<UserId>> {
    tx.rows(
        query("select user_id from group_members where group_id = $1").bind(group_id::text(group)),
    )
    .await?
    .iter()
    .map(|row| row.parse("user_id"))
    .collect()
}
