//! What a profile was at each version.

use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent};
use tollgate_domain::ids::ProfileId;

use crate::error::Result;
use crate::page::{Counted, Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, query, to_json};
use crate::tx::{Db, Tx};

/// Everything of a profile that a version keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileSnapshot {
    /// Its name then.
    pub name: String,
    /// Its description then.
    pub description: Option<String>,
    /// Whether it was active.
    pub is_active: bool,
    /// Its tags then.
    pub tags: Vec<String>,
    /// What it granted and limited.
    #[serde(flatten)]
    pub content: ProfileContent,
}

/// One version of a profile.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileVersion {
    /// Its id.
    pub id: i64,
    /// The profile.
    pub profile: ProfileId,
    /// The version's number.
    pub version: i64,
    /// What the profile was.
    pub snapshot: ProfileSnapshot,
    /// The same as stored text.
    pub snapshot_text: String,
    /// Who made it so.
    pub changed_by: String,
    /// When.
    pub created_at: Timestamp,
}

pub(super) async fn record(tx: &mut Tx, profile: &AccessProfile, changed_by: &str) -> Result<()> {
    let snapshot = ProfileSnapshot {
        name: profile.name.clone(),
        description: profile.description.clone(),
        is_active: profile.is_active,
        tags: profile.tags.clone(),
        content: profile.content.clone(),
    };
    tx.execute(
        query(
            "insert into access_profile_versions
                 (access_profile_id, version, name, description, snapshot, changed_by, created_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(profile.id.0)
        .bind(profile.version)
        .bind(profile.name.as_str())
        .bind(profile.description.as_deref())
        .bind(to_json("snapshot", &snapshot)?)
        .bind(changed_by)
        .bind(profile.updated_at),
    )
    .await
    .map(drop)
}

const LIST: Counted = Counted {
    table: "access_profile_versions",
    select: "select id, access_profile_id, version, snapshot, changed_by, created_at
             from access_profile_versions where true",
    order: "version desc",
};

/// The versions of a profile that have `wanted` in their name or in who made them, regardless of the case of ASCII letters,
/// newest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    profile: ProfileId,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<ProfileVersion>> {
    let pattern = search::pattern(wanted);
    let searched = |query: &mut Query| {
        query.push(" and access_profile_id = ");
        query.push_value(profile.0);
        if let Some(pattern) = &pattern {
            search::push_any(query, &["lower(name)", "lower(changed_by)"], pattern);
        }
    };
    LIST.page(&mut db.into(), searched, page, read).await
}

/// One version of a profile.
pub async fn find(
    db: impl Into<Db<'_>>,
    profile: ProfileId,
    version: i64,
) -> Result<Option<ProfileVersion>> {
    db.into()
        .row(
            query(
                "select id, access_profile_id, version, snapshot, changed_by, created_at
                 from access_profile_versions where access_profile_id = $1 and version = $2",
            )
            .bind(profile.0)
            .bind(version),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

fn read(row: &Row) -> Result<ProfileVersion> {
    Ok(ProfileVersion {
        id: row.get("id")?,
        profile: ProfileId(row.get("access_profile_id")?),
        version: row.get("version")?,
        snapshot: row.json("snapshot")?,
        snapshot_text: row.get("snapshot")?,
        changed_by: row.get("changed_by")?,
        created_at: row.instant("created_at")?,
    })
}
