//! What a profile was.

mod diff;
mod get;
mod list;
mod restore;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::AccessProfile;
use tollgate_domain::ids::ProfileId;
use tollgate_storage::Db;
use tollgate_storage::profiles::versions::{self, ProfileSnapshot, ProfileVersion};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// The operations on versions.
pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_access_profile_versions))
        .routes(|| routes!(get::get_access_profile_version))
        .routes(|| routes!(diff::diff_access_profile_versions))
        .routes(|| routes!(restore::restore_access_profile_version))
}

/// A version of a profile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionView {
    id: i64,
    access_profile_id: i64,
    version: i64,
    name: String,
    description: Option<String>,
    /// The whole of it, as JSON text.
    snapshot: String,
    /// Who made it so.
    changed_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<ProfileVersion> for VersionView {
    fn from(version: ProfileVersion) -> Self {
        Self {
            id: version.id,
            access_profile_id: version.profile.0,
            version: version.version,
            name: version.snapshot.name,
            description: version.snapshot.description,
            snapshot: version.snapshot_text,
            changed_by: version.changed_by,
            created_at: version.created_at,
        }
    }
}

/// The version, or 404.
async fn get_existing(
    db: impl Into<Db<'_>>,
    profile: ProfileId,
    version: i64,
) -> Answer<ProfileVersion> {
    versions::find(db, profile, version)
        .await?
        .ok_or_else(|| Problem::not_found("version of this access profile", version))
}

/// The profile as it was.
fn as_profile(current: &AccessProfile, snapshot: ProfileSnapshot) -> AccessProfile {
    AccessProfile {
        name: snapshot.name,
        description: snapshot.description,
        is_active: snapshot.is_active,
        tags: snapshot.tags,
        content: snapshot.content,
        ..current.clone()
    }
}
