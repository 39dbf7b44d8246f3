use axum::response::IntoResponse;
use serde::Serialize;
use tollgate_domain::ids::ProfileId;
use tollgate_storage::profiles::roles::{self, RoleAttachment};
use utoipa::ToSchema;

use super::view::AccessProfileView;
use super::{count_holders, get_existing};
use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Path, etag};
use crate::problem::Answer;

/// A profile, the roles it comes with, and how many users hold it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessProfileDetails {
    access_profile: AccessProfileView,
    roles: Vec<RoleAttachmentView>,
    user_count: u64,
}

/// A role that the profile comes with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoleAttachmentView {
    id: i64,
    access_profile_id: i64,
    role_id: i64,
    role_name: String,
    /// Whether users who get the role get the profile.
    is_default: bool,
}

impl From<RoleAttachment> for RoleAttachmentView {
    fn from(attachment: RoleAttachment) -> Self {
        Self {
            id: attachment.id,
            access_profile_id: attachment.profile.0,
            role_id: attachment.role.0,
            role_name: attachment.role_name,
            is_default: attachment.is_default,
        }
    }
}

/// Read an access profile
#[utoipa::path(
    get, path = "/access-profiles/{profile_id}", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0)),
    responses(
        (status = 200, body = AccessProfileDetails, headers(("ETag" = String, description = "The version, quoted"))),
        Refusals
    ),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn get_access_profile(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<ProfileId>,
) -> Answer<impl IntoResponse> {
    let profile = get_existing(ctx.store(), id).await?;
    let roles = roles::of_profile(ctx.store(), id).await?;
    let details = AccessProfileDetails {
        access_profile: super::view(&profile),
        roles: roles.into_iter().map(RoleAttachmentView::from).collect(),
        user_count: count_holders(ctx.store(), id).await?,
    };
    Ok((etag(profile.version), Json(details)))
}
