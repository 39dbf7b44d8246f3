use tollgate_domain::access::profile::AccessProfile;
use tollgate_domain::ids::ProfileId;

use super::get_existing;
use super::update::store_change;
use super::view::AccessProfileBody;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Context, Require, UpdateAccessProfiles};
use crate::extract::{IfMatch, Json, Path};
use crate::problem::Answer;

/// Activate an access profile
///
/// It can be assigned again. Does nothing when it is active.
#[utoipa::path(
    put, path = "/access-profiles/{profile_id}/activate", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0), IfMatch),
    responses((status = 200, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn activate_access_profile(
    ctx: Require<UpdateAccessProfiles>,
    Path(id): Path<ProfileId>,
    if_match: IfMatch,
) -> Answer<Json<AccessProfileBody>> {
    set_active(&ctx, id, if_match, true, "activate").await
}

/// Deactivate an access profile
///
/// Hides it from new assignments; copies that users hold keep working. Does nothing when it is inactive.
#[utoipa::path(
    put, path = "/access-profiles/{profile_id}/deactivate", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0), IfMatch),
    responses((status = 200, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn deactivate_access_profile(
    ctx: Require<UpdateAccessProfiles>,
    Path(id): Path<ProfileId>,
    if_match: IfMatch,
) -> Answer<Json<AccessProfileBody>> {
    set_active(&ctx, id, if_match, false, "deactivate").await
}

async fn set_active(
    ctx: &Context,
    id: ProfileId,
    if_match: IfMatch,
    is_active: bool,
    action: &'static str,
) -> Answer<Json<AccessProfileBody>> {
    let mut tx = ctx.begin().await?;
    let current = get_existing(&mut tx, id).await?;
    if_match.check(current.version)?;
    let wanted = AccessProfile {
        is_active,
        ..current.clone()
    };
    let act = Act::new(action, "access_profile", id);
    let stored = store_change(ctx, &mut tx, current, wanted, act).await?;
    let access_profile = super::view(&stored);
    ctx.commit(tx, Json(AccessProfileBody { access_profile }))
        .await
}
