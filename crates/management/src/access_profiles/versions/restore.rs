use axum::response::IntoResponse;
use serde::Serialize;
use tollgate_domain::ids::ProfileId;

use super::{as_profile, get_existing};
use crate::access_profiles::update::store_change;
use crate::access_profiles::view::AccessProfileBody;
use crate::access_profiles::{self};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Require, UpdateAccessProfiles};
use crate::extract::{IfMatch, Json, Path, VersionNumber, etag};
use crate::problem::Answer;

/// What was restored.
#[derive(Serialize)]
struct RestoredFrom {
    restored_version: i64,
}

/// Restore a version of an access profile
///
/// Makes a new version with the old content.
#[utoipa::path(
    post, path = "/access-profiles/{profile_id}/versions/{version}/restore", tag = "access profiles",
    params(
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        ("version" = i64, Path, description = "The version's number", minimum = 1),
        IfMatch,
    ),
    responses((status = 200, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn restore_access_profile_version(
    ctx: Require<UpdateAccessProfiles>,
    Path((id, VersionNumber(number))): Path<(ProfileId, VersionNumber)>,
    if_match: IfMatch,
) -> Answer<impl IntoResponse> {
    let mut tx = ctx.begin().await?;
    let current = access_profiles::get_existing(&mut tx, id).await?;
    if_match.check(current.version)?;
    let version = get_existing(&mut tx, id, number).await?;
    let wanted = as_profile(&current, version.snapshot);
    let act = Act::new("restore", "access_profile", id).with(&RestoredFrom {
        restored_version: number,
    });
    let stored = store_change(&ctx, &mut tx, current, wanted, act).await?;
    let access_profile = access_profiles::view(&stored);
    ctx.commit(
        tx,
        (
            etag(stored.version),
            Json(AccessProfileBody { access_profile }),
        ),
    )
    .await
}
