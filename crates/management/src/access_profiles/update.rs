use axum::response::IntoResponse;
use tollgate_domain::access::profile::AccessProfile;
use tollgate_domain::ids::ProfileId;
use tollgate_storage::{Tx, profiles};

use super::content::{UpdateAccessProfile, apply_update};
use super::view::AccessProfileBody;
use super::{get_existing, name_taken, number_provider_configs};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Context, Require, UpdateAccessProfiles};
use crate::extract::{About, IfMatch, Json, Path, etag};
use crate::limits::StartsAnew;
use crate::problem::Answer;

/// Update an access profile
///
/// Partial: what is left out is kept. One update is one step of the version; an update that changes nothing leaves the
/// version alone. Copies that users hold follow through propagate.
#[utoipa::path(
    put, path = "/access-profiles/{profile_id}", tag = "access profiles",
    params(
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        IfMatch,
    ),
    request_body = UpdateAccessProfile,
    responses((status = 200, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn update_access_profile(
    ctx: Require<UpdateAccessProfiles>,
    Path(id): Path<ProfileId>,
    if_match: IfMatch,
    About { body, .. }: About<ProfileId, UpdateAccessProfile>,
) -> Answer<impl IntoResponse> {
    update(&ctx, id, if_match, body).await
}

/// Update an access profile
///
/// The same as with PUT.
#[utoipa::path(
    patch, path = "/access-profiles/{profile_id}", tag = "access profiles",
    params(
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        IfMatch,
    ),
    request_body = UpdateAccessProfile,
    responses((status = 200, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Update"]))
)]
pub(crate) async fn patch_access_profile(
    ctx: Require<UpdateAccessProfiles>,
    Path(id): Path<ProfileId>,
    if_match: IfMatch,
    About { body, .. }: About<ProfileId, UpdateAccessProfile>,
) -> Answer<impl IntoResponse> {
    update(&ctx, id, if_match, body).await
}

async fn update(
    ctx: &Context,
    id: ProfileId,
    if_match: IfMatch,
    body: UpdateAccessProfile,
) -> Answer<impl IntoResponse + use<>> {
    let mut tx = ctx.begin().await?;
    let current = get_existing(&mut tx, id).await?;
    if_match.check(current.version)?;
    let wanted = apply_update(&current, body, ctx.parts().ids.as_ref());
    let act = Act::new("update", "access_profile", id);
    let stored = store_change(ctx, &mut tx, current, wanted, act).await?;
    let access_profile = super::view(&stored);
    ctx.commit(
        tx,
        (
            etag(stored.version),
            Json(AccessProfileBody { access_profile }),
        ),
    )
    .await
}

/// Stores a changed profile as a new version with its audit entry. A profile that did not change is left alone.
pub(super) async fn store_change(
    ctx: &Context,
    tx: &mut Tx,
    current: AccessProfile,
    mut wanted: AccessProfile,
    act: Act,
) -> Answer<AccessProfile> {
    if wanted == current {
        return Ok(current);
    }
    number_provider_configs(tx, &mut wanted.content).await?;
    wanted.updated_at = ctx.now();
    wanted.rotation = current.rotation.rescheduled(
        current.content.auto_rotation_interval_ns,
        wanted.content.auto_rotation_interval_ns,
        wanted.updated_at,
    );
    let name = wanted.name.clone();
    let stored = profiles::update(tx, wanted, &ctx.actor().id())
        .await
        .map_err(|error| name_taken(error, &name))?;
    let act = act
        .about_profile(stored.id)
        .before(&super::view(&current))
        .after(&super::view(&stored))
        .starting_anew(&StartsAnew::find_in_template(
            &current.content,
            &stored.content,
        ));
    ctx.record(tx, act).await?;
    Ok(stored)
}
