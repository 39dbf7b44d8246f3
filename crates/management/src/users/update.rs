use tollgate_domain::ids::UserId;
use tollgate_storage::users::{self, User};

use super::{UserBody, UserView, check_role_handed_on, explain, get_existing};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Email, Name, body};
use crate::context::{Require, UpdateUsers};
use crate::extract::{Json, Path};
use crate::problem::Answer;

body! {
    /// A partial update of a user. The role has an operation of its own.
    struct UpdateUser ignoring ["id", "role_id", "created_at", "updated_at"] {
        /// 1 to 255 characters.
        name: given Name,
        /// Unique without regard to case.
        email: given Email,
        /// False refuses every key of the user from the next request on.
        is_active: given bool,
    }
}

/// Change a user
///
/// Another e-mail address, and being active again, need every permission of the user's role.
#[utoipa::path(
    put, path = "/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "The user's id")),
    request_body = UpdateUser,
    responses((status = 200, body = UserBody), WriteRefusals),
    security(("management_key" = ["Users:Update"]))
)]
pub(crate) async fn update_user(
    ctx: Require<UpdateUsers>,
    Path(id): Path<UserId>,
    Json(body): Json<UpdateUser>,
) -> Answer<Json<UserBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let new = User {
        name: body.name.map_or_else(|| old.name.clone(), String::from),
        email: body.email.map_or_else(|| old.email.clone(), String::from),
        is_active: body.is_active.unwrap_or(old.is_active),
        updated_at: ctx.now(),
        ..old.clone()
    };
    // Whoever reads the mail of an address, and whoever is active again, has what the role gives.
    let is_revived = new.is_active && !old.is_active;
    let is_readdressed = !new.email.eq_ignore_ascii_case(&old.email);
    for (hands_on, place) in [(is_revived, "/is_active"), (is_readdressed, "/email")] {
        if hands_on {
            check_role_handed_on(&ctx, &mut tx, new.role_id, place).await?;
        }
    }
    users::update(&mut tx, &new)
        .await
        .map_err(|error| explain(error, &new.email))?;
    let (old, user) = (UserView::from(old), UserView::from(new));
    let act = Act::new("update", "user", id).about_user(id);
    ctx.record(&mut tx, act.before(&old).after(&user)).await?;
    ctx.commit(tx, Json(UserBody { user })).await
}
