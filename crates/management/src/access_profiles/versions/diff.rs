use serde::Serialize;
use tollgate_domain::ids::ProfileId;
use utoipa::ToSchema;

use super::{as_profile, get_existing};
use crate::access_profiles;
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::diff::{Difference, differences};
use crate::extract::{Json, Path, VersionNumber};
use crate::problem::{Answer, Problem};

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionDiff {
    from_version: i64,
    to_version: i64,
    changes: Vec<Difference>,
}

/// Compare two versions of an access profile
#[utoipa::path(
    get, path = "/access-profiles/{profile_id}/versions/{version}/diff/{other}", tag = "access profiles",
    params(
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        ("version" = i64, Path, description = "The version before", minimum = 1),
        ("other" = i64, Path, description = "The version after", minimum = 1),
    ),
    responses((status = 200, body = VersionDiff), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn diff_access_profile_versions(
    ctx: Require<ViewAccessProfiles>,
    Path((id, VersionNumber(a), VersionNumber(b))): Path<(ProfileId, VersionNumber, VersionNumber)>,
) -> Answer<Json<VersionDiff>> {
    let current = access_profiles::get_existing(ctx.store(), id).await?;
    let before = as_profile(&current, get_existing(ctx.store(), id, a).await?.snapshot);
    let after = as_profile(&current, get_existing(ctx.store(), id, b).await?.snapshot);
    let (before, after) = (
        access_profiles::view(&before),
        access_profiles::view(&after),
    );
    let changes = differences(&before, &after, &[]).map_err(|error| Problem::internal(&error))?;
    Ok(Json(VersionDiff {
        from_version: a,
        to_version: b,
        changes,
    }))
}
