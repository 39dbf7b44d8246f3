use tollgate_domain::ids::{ProfileId, RoleId};
use tollgate_storage::profiles::roles;

use crate::access_profiles::get_existing;
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteAccessProfiles, Require};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};

/// Detach an access profile from a role
///
/// Users who have the profile keep it until their role changes.
#[utoipa::path(
    delete, path = "/access-profiles/{profile_id}/roles/{role_id}", tag = "access profiles",
    params(
        ("profile_id" = i64, Path, description = "The profile's id", minimum = 0),
        ("role_id" = i64, Path, description = "The role's id", minimum = 0),
    ),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Delete"]))
)]
pub(crate) async fn detach_access_profile_role(
    ctx: Require<DeleteAccessProfiles>,
    Path((id, role)): Path<(ProfileId, RoleId)>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    get_existing(&mut tx, id).await?;
    if !roles::detach(&mut tx, id, role).await? {
        return Err(Problem::not_found("role of this access profile", role));
    }
    let act = Act::new("detach_role", "access_profile", id)
        .about_profile(id)
        .with(&serde_json::json!({"role_id": role.0}));
    ctx.record(&mut tx, act).await?;
    ctx.commit(tx, Message::new("role detached")).await
}
