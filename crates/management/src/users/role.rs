use tollgate_domain::ids::{RoleId, UserId};
use tollgate_storage::users::{self, User};

use super::{UserView, UserWithKey, check_role_handed_on, explain, get_existing};
use crate::access_profiles::provisioning::follow_role;
use crate::access_profiles::user_copies::NewVirtualKey;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Existing, body};
use crate::context::{Require, UpdateUsers};
use crate::extract::{Json, Path};
use crate::problem::Answer;

body! {
    /// The user's new role.
    struct SetUserRole {
        /// The role's id.
        role_id: required Existing<RoleId>,
    }
}

/// Give a user another role
///
/// The caller needs every permission of the role. Profiles that the user had from the old role's defaults are withdrawn, the new role's defaults are assigned, and
/// profiles assigned by hand stay.
#[utoipa::path(
    put, path = "/users/{user_id}/role", tag = "users",
    params(("user_id" = String, Path, description = "The user's id")),
    request_body = SetUserRole,
    responses((status = 200, body = UserWithKey), WriteRefusals),
    security(("management_key" = ["Users:Update"]))
)]
pub(crate) async fn set_user_role(
    ctx: Require<UpdateUsers>,
    Path(id): Path<UserId>,
    Json(body): Json<SetUserRole>,
) -> Answer<Json<UserWithKey>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let new = User {
        role_id: Some(body.role_id.0),
        updated_at: ctx.now(),
        ..old.clone()
    };
    if new.role_id != old.role_id {
        check_role_handed_on(&ctx, &mut tx, new.role_id, "/role_id").await?;
    }
    users::update(&mut tx, &new)
        .await
        .map_err(|error| explain(error, &new.email))?;
    let virtual_key = follow_role(&ctx, &mut tx, &new).await?;
    let (old, user) = (UserView::from(old), UserView::from(new));
    let act = Act::new("update", "user", id).about_user(id);
    ctx.record(&mut tx, act.before(&old).after(&user)).await?;
    ctx.commit(
        tx,
        Json(UserWithKey {
            user,
            virtual_key: virtual_key.map(NewVirtualKey::from),
        }),
    )
    .await
}
