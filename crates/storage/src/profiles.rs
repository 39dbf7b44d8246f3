//! Access profiles: the templates, with a version and a snapshot of each change.

pub mod roles;
pub mod rotation;
pub mod versions;

use std::collections::BTreeSet;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent, Rotation};
use tollgate_domain::ids::{BudgetId, ProfileId, ProviderConfigId};

use crate::error::{Result, StorageError};
use crate::lists::{self, List, Wanted};
use crate::page::{Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, query, to_json};
use crate::tx::{Db, Tx};

/// Its ids count up, so they are the positions.
const LIST: List = List {
    kind: "access_profiles",
    table: "access_profiles",
    position: "id",
    select: SELECT,
    found_id: "cast(entity_id as bigint)",
};

const SELECT: &str = "select id, name, description, is_active, version, tags, content, next_rotation_at, \
                      last_rotation_at, created_at, updated_at from access_profiles where true";

/// A profile to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewProfile {
    /// Unique without regard to case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Hidden from new assignments when not.
    pub is_active: bool,
    /// For finding it.
    pub tags: Vec<String>,
    /// What it grants and limits.
    pub content: ProfileContent,
}

/// Which profiles.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileFilter {
    /// A part of the name or description.
    pub search: Option<String>,
    /// With any of these tags, whose case does not matter.
    pub tags: Vec<String>,
    /// Active ones, or the others.
    pub is_active: Option<bool>,
}

/// Stores a profile as its version 1.
///
/// # Errors
/// [`Constraint::ProfileName`](crate::Constraint::ProfileName) when the name is taken.
pub async fn create(
    tx: &mut Tx,
    new: NewProfile,
    changed_by: &str,
    now: Timestamp,
) -> Result<AccessProfile> {
    let text = search_text(&new.name, new.description.as_deref());
    let interval = new.content.auto_rotation_interval_ns;
    let rotation = Rotation::default().rescheduled(0, interval, now);
    let id = tx
        .returned_id(
            query(
                "insert into access_profiles (name, name_key, description, is_active, version, tags, content,
                     search_text, created_at, updated_at, next_rotation_at)
                 values ($1, $2, $3, $4, 1, $5, $6, $7, $8, $8, $9) returning id",
            )
            .bind(new.name.as_str())
            .bind(new.name.to_lowercase())
            .bind(new.description.as_deref())
            .bind(new.is_active)
            .bind(to_json("tags", &new.tags)?)
            .bind(to_json("content", &new.content)?)
            .bind(text.as_str())
            .bind(now)
            .bind(rotation.next_at),
        )
        .await
        .map(ProfileId)?;
    let profile = AccessProfile {
        id,
        name: new.name,
        description: new.description,
        is_active: new.is_active,
        version: 1,
        tags: new.tags,
        content: new.content,
        rotation,
        created_at: now,
        updated_at: now,
    };
    put_tags(tx, &profile).await?;
    search::index(tx, LIST.kind, &id.to_string(), "", &text).await?;
    lists::added(tx, LIST.kind, id.0).await?;
    versions::record(tx, &profile, changed_by).await?;
    Ok(profile)
}

/// The profile with this id.
pub async fn find(db: impl Into<Db<'_>>, id: ProfileId) -> Result<Option<AccessProfile>> {
    let mut statement = query(SELECT);
    statement.push(" and id = ");
    statement.push_value(id.0);
    find_one(&mut db.into(), statement).await
}

/// The profile with this name, whose case does not matter.
pub async fn find_by_name(db: impl Into<Db<'_>>, name: &str) -> Result<Option<AccessProfile>> {
    let mut statement = query(SELECT);
    statement.push(" and name_key = ");
    statement.push_value(name.to_lowercase());
    find_one(&mut db.into(), statement).await
}

/// The profile whose own content has the budget line `id`. Reads through all profiles: it is for a message, not for work.
pub async fn with_budget(db: impl Into<Db<'_>>, id: BudgetId) -> Result<Option<ProfileId>> {
    let statement =
        query("select id from access_profiles where content like $1 order by id limit 1")
            .bind(format!("%\"{id}\"%"));
    let row = db.into().row(statement).await?;
    row.map(|row| Ok(ProfileId(row.get("id")?))).transpose()
}

/// The profiles that `filter` lets through, oldest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &ProfileFilter,
    page: PageRequest,
) -> Result<Page<AccessProfile>> {
    let tags: Vec<String> = filter.tags.iter().map(|tag| tag.to_lowercase()).collect();
    let tagged = |query: &mut Query| {
        if let Some(is_active) = filter.is_active {
            query.push(" and is_active = ");
            query.push_value(is_active);
        }
        if !tags.is_empty() {
            query.push(
                " and id in (select access_profile_id from access_profile_tags where tag_key in ",
            );
            query.push_list(tags.iter().map(String::as_str));
            query.push(")");
        }
    };
    let wanted = Wanted {
        text: filter.search.as_deref(),
        filter: tagged,
        is_selective: !tags.is_empty(),
    };
    let (rows, total) = lists::page(&mut db.into(), &LIST, wanted, page).await?;
    let items = rows.iter().map(read).collect::<Result<_>>()?;
    Ok(Page { items, total })
}

/// Stores a changed profile, its rotation included, as the version after `profile.version`, as of `profile.updated_at`,
/// and returns it with that version. Callers leave out updates that change nothing.
///
/// # Errors
/// [`StorageError::StaleVersion`] when the stored version is another; [`StorageError::Reference`] when there is no such
/// profile; [`Constraint::ProfileName`](crate::Constraint::ProfileName) when the name is taken.
pub async fn update(
    tx: &mut Tx,
    mut profile: AccessProfile,
    changed_by: &str,
) -> Result<AccessProfile> {
    let text = search_text(&profile.name, profile.description.as_deref());
    let before = search::text_before(tx, LIST.table, profile.id.0).await?;
    let expected = profile.version;
    profile.version += 1;
    let changed = tx
        .execute(
            query(
                "update access_profiles set name = $3, name_key = $4, description = $5, is_active = $6, version = $7,
                     tags = $8, content = $9, search_text = $10, updated_at = $11, next_rotation_at = $12,
                     last_rotation_at = $13,
                     rotation_cursor = case when next_rotation_at = $12 then rotation_cursor else null end
                 where id = $1 and version = $2",
            )
            .bind(profile.id.0)
            .bind(expected)
            .bind(profile.name.as_str())
            .bind(profile.name.to_lowercase())
            .bind(profile.description.as_deref())
            .bind(profile.is_active)
            .bind(profile.version)
            .bind(to_json("tags", &profile.tags)?)
            .bind(to_json("content", &profile.content)?)
            .bind(text.as_str())
            .bind(profile.updated_at)
            .bind(profile.rotation.next_at)
            .bind(profile.rotation.last_at),
        )
        .await?;
    if changed == 0 {
        return Err(match find(&mut *tx, profile.id).await? {
            Some(stored) => StorageError::StaleVersion {
                expected,
                actual: stored.version,
            },
            None => StorageError::Reference,
        });
    }
    put_tags(tx, &profile).await?;
    search::index(tx, LIST.kind, &profile.id.to_string(), &before, &text).await?;
    lists::changed(tx, LIST.kind, profile.id.0).await?;
    versions::record(tx, &profile, changed_by).await?;
    Ok(profile)
}

/// Deletes a profile with its versions, role attachments and the copies that were taken away. False when there is no
/// such profile.
///
/// # Errors
/// [`StorageError::Reference`] while users or groups hold it.
pub async fn delete(tx: &mut Tx, id: ProfileId) -> Result<bool> {
    let held = query(
        "select (select count(*) from user_copies where parent_profile_id = $1 and detached_at is null)
              + (select count(*) from group_profiles where parent_profile_id = $1 and detached_at is null) as amount",
    )
    .bind(id.0);
    if Db::Tx(tx).count(held).await? > 0 {
        return Err(StorageError::Reference);
    }
    let deleted = tx
        .row(query("delete from access_profiles where id = $1 returning search_text").bind(id.0))
        .await?;
    let Some(row) = deleted else {
        return Ok(false);
    };
    search::remove(tx, LIST.kind, &id.to_string(), &row).await?;
    lists::removed(tx, LIST.kind, id.0).await?;
    Ok(true)
}

/// Reserves `count` fresh ids for provider configs, of profiles and keys alike.
pub async fn next_provider_config_ids(tx: &mut Tx, count: usize) -> Result<Vec<ProviderConfigId>> {
    let count = i64::try_from(count).unwrap_or(0);
    if count == 0 {
        return Ok(Vec::new());
    }
    let last = tx
        .returned_id(
            query(
                "insert into sequences (name, value) values ('provider_configs', $1)
                 on conflict (name) do update set value = sequences.value + excluded.value
                 returning value as id",
            )
            .bind(count),
        )
        .await?;
    Ok((last - count + 1..=last).map(ProviderConfigId).collect())
}

fn search_text(name: &str, description: Option<&str>) -> String {
    search::text(&[name, description.unwrap_or_default()])
}

/// Makes a profile findable by its tags, and no longer by those that it had before.
async fn put_tags(tx: &mut Tx, profile: &AccessProfile) -> Result<()> {
    let stored = query("select tag_key from access_profile_tags where access_profile_id = $1")
        .bind(profile.id.0);
    let before: BTreeSet<String> = (tx.rows(stored).await?.iter())
        .map(|row| row.get("tag_key"))
        .collect::<Result<_>>()?;
    let after: BTreeSet<String> = profile.tags.iter().map(|tag| tag.to_lowercase()).collect();
    for tag in before.difference(&after) {
        tx.execute(
            query("delete from access_profile_tags where tag_key = $1 and access_profile_id = $2")
                .bind(tag.as_str())
                .bind(profile.id.0),
        )
        .await?;
    }
    for tag in after.difference(&before) {
        tx.execute(
            query("insert into access_profile_tags (tag_key, access_profile_id) values ($1, $2)")
                .bind(tag.as_str())
                .bind(profile.id.0),
        )
        .await?;
    }
    Ok(())
}

async fn find_one(db: &mut Db<'_>, statement: Query) -> Result<Option<AccessProfile>> {
    db.row(statement).await?.map(|row| read(&row)).transpose()
}

fn read(row: &Row) -> Result<AccessProfile> {
    Ok(AccessProfile {
        id: ProfileId(row.get("id")?),
        name: row.get("name")?,
        description: row.get("description")?,
        is_active: row.get("is_active")?,
        version: row.get("version")?,
        tags: row.json("tags")?,
        content: row.json("content")?,
        rotation: Rotation {
            next_at: row.instant_opt("next_rotation_at")?,
            last_at: row.instant_opt("last_rotation_at")?,
        },
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
