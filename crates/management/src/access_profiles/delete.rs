use tollgate_domain::ids::ProfileId;
use tollgate_storage::{StorageError, profiles};

use super::{count_holders, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteAccessProfiles, Require};
use crate::extract::{IfMatch, Json, Path};
use crate::problem::{Answer, Problem};

/// Delete an access profile
///
/// Refused while users or groups hold it.
#[utoipa::path(
    delete, path = "/access-profiles/{profile_id}", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0), IfMatch),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["AccessProfiles:Delete"]))
)]
pub(crate) async fn delete_access_profile(
    ctx: Require<DeleteAccessProfiles>,
    Path(id): Path<ProfileId>,
    if_match: IfMatch,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let profile = get_existing(&mut tx, id).await?;
    if_match.check(profile.version)?;
    let holders = count_holders(&mut tx, id).await?;
    let in_use = |who: &str| {
        Problem::conflict(
            "copies_exist",
            format!(
                "{who} hold the access profile `{}`; take it away from them first",
                profile.name
            ),
        )
    };
    if holders > 0 {
        return Err(in_use(&format!("{holders} users")));
    }
    profiles::delete(&mut tx, id)
        .await
        .map_err(|error| match error {
            StorageError::Reference => in_use("teams, customers or business units"),
            other => other.into(),
        })?;
    let act = Act::new("delete", "access_profile", id).about_profile(id);
    ctx.record(&mut tx, act.before(&super::view(&profile)))
        .await?;
    ctx.commit(tx, Message::new("access profile deleted")).await
}
