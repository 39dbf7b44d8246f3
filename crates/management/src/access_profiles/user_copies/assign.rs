use http::StatusCode;
use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ProfileId, UserId};
use tollgate_storage::copies::CopySource;
use tollgate_storage::virtual_keys;
use utoipa::ToSchema;

use super::{NewVirtualKey, view};
use crate::access_profiles::assignment::{Terms, assign};
use crate::access_profiles::get_existing;
use crate::access_profiles::view::UserCopyView;
use crate::answers::WriteRefusals;
use crate::body::body;
use crate::context::{CreateAccessProfiles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};
use crate::users;

body! {
    /// Which profile, and on which terms.
    struct AssignAccessProfile {
        /// The profile's id.
        access_profile_id: required ProfileId,
        /// Smaller pays first. 0 unless said otherwise.
        priority: optional i64,
        /// When the copy stops granting. Left out: never.
        expires_at: optional Timestamp,
    }
}

/// The copy, and the key that came with it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssignedProfile {
    access_profile: UserCopyView,
    /// Null when the user has a key already.
    virtual_key: Option<NewVirtualKey>,
}

/// Give a profile to a user
///
/// The user gets a copy with counters of its own, and a key when there is none yet. A copy that was taken away or has
/// expired comes back with its counters, on the new terms.
#[utoipa::path(
    post, path = "/users/{user_id}/access-profiles", tag = "access profiles",
    params(("user_id" = String, Path, description = "The user's id")),
    request_body = AssignAccessProfile,
    responses((status = 201, body = AssignedProfile), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Create"]))
)]
pub(crate) async fn assign_access_profile(
    ctx: Require<CreateAccessProfiles>,
    Path(user_id): Path<UserId>,
    Json(body): Json<AssignAccessProfile>,
) -> Answer<(StatusCode, Json<AssignedProfile>)> {
    let mut tx = ctx.begin().await?;
    let user = users::get_existing(&mut tx, user_id).await?;
    let profile = get_existing(&mut tx, body.access_profile_id)
        .await
        .map_err(|problem| problem.at("/access_profile_id"))?;
    if !profile.is_active {
        return Err(Problem::conflict(
            "profile_inactive",
            format!(
                "the access profile `{}` is inactive; activate it first",
                profile.name
            ),
        ));
    }
    let terms = Terms {
        source: CopySource::Hand,
        priority: body.priority,
        expires_at: body.expires_at,
    };
    let assigned = assign(&ctx, &mut tx, &user, &profile, terms)
        .await?
        .ok_or_else(|| {
            Problem::conflict(
                "already_assigned",
                format!(
                    "the user holds the access profile `{}` already; take it away first to give it on other terms",
                    profile.name
                ),
            )
        })?;
    let keys = virtual_keys::of_user(&mut tx, user_id).await?;
    let answer = AssignedProfile {
        access_profile: view(&ctx, &assigned.copy.copy, &keys)?,
        virtual_key: assigned.key.map(NewVirtualKey::from),
    };
    ctx.commit(tx, (StatusCode::CREATED, Json(answer))).await
}
