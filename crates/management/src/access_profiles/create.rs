use axum::response::IntoResponse;
use http::StatusCode;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent, Rotation};
use tollgate_domain::ids::ProfileId;
use tollgate_storage::profiles::{self, NewProfile};

use super::content::{CreateAccessProfile, UpdateAccessProfile, apply_update};
use super::view::AccessProfileBody;
use super::{name_taken, number_provider_configs};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{Context, CreateAccessProfiles, Require};
use crate::extract::{Json, etag};
use crate::problem::Answer;

/// Create an access profile
///
/// It grants nothing until somebody holds it. The size limits of an update are not enforced here.
#[utoipa::path(
    post, path = "/access-profiles", tag = "access profiles",
    request_body = CreateAccessProfile,
    responses((status = 201, body = AccessProfileBody), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn create_access_profile(
    ctx: Require<CreateAccessProfiles>,
    Json(body): Json<CreateAccessProfile>,
) -> Answer<impl IntoResponse> {
    let body = UpdateAccessProfile::from(body);
    let mut tx = ctx.begin().await?;
    let wanted = apply_update(&empty(&ctx), body, ctx.parts().ids.as_ref());
    let created = store_new(&ctx, &mut tx, wanted).await?;
    let access_profile = super::view(&created);
    let act = Act::new("create", "access_profile", created.id).about_profile(created.id);
    ctx.record(&mut tx, act.after(&access_profile)).await?;
    let answer = Json(AccessProfileBody { access_profile });
    ctx.commit(tx, (StatusCode::CREATED, etag(created.version), answer))
        .await
}

/// What a new profile is before its body is applied.
fn empty(ctx: &Context) -> AccessProfile {
    let now = ctx.now();
    AccessProfile {
        id: ProfileId(0),
        name: String::new(),
        description: None,
        is_active: true,
        version: 1,
        tags: Vec::new(),
        content: ProfileContent::default(),
        rotation: Rotation::default(),
        created_at: now,
        updated_at: now,
    }
}

/// Stores a profile that was not there before.
pub(super) async fn store_new(
    ctx: &Context,
    tx: &mut tollgate_storage::Tx,
    mut wanted: AccessProfile,
) -> Answer<AccessProfile> {
    number_provider_configs(tx, &mut wanted.content).await?;
    let name = wanted.name.clone();
    let new = NewProfile {
        name: wanted.name,
        description: wanted.description,
        is_active: wanted.is_active,
        tags: wanted.tags,
        content: wanted.content,
    };
    profiles::create(tx, new, &ctx.actor().id(), ctx.now())
        .await
        .map_err(|error| name_taken(error, &name))
}
