use serde::Serialize;
use tollgate_domain::ids::ProfileId;
use utoipa::ToSchema;

use super::{VersionView, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Path, VersionNumber};
use crate::problem::Answer;

/// One version.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VersionBody {
    version: VersionView,
}

/// Read a version of an access profile
#[utoipa::path(
    get, path = "/access-profiles/{profile_id}/versions/{version}", tag = "access profiles",
    params(
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
    ),
    responses((status = 200, body = VersionBody), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn get_access_profile_version(
    ctx: Require<ViewAccessProfiles>,
    Path((id, VersionNumber(version))): Path<(ProfileId, VersionNumber)>,
) -> Answer<Json<VersionBody>> {
    let version = get_existing(ctx.store(), id, version).await?.into();
    Ok(Json(VersionBody { version }))
}
