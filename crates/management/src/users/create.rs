use http::StatusCode;
use tollgate_domain::ids::{RoleId, UserId};
use tollgate_storage::users::{self, User};

use super::{UserView, UserWithKey, check_role_handed_on, explain};
use crate::access_profiles::provisioning::follow_role;
use crate::access_profiles::user_copies::NewVirtualKey;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Email, Existing, Name, body};
use crate::context::{CreateUsers, Require};
use crate::extract::Json;
use crate::problem::Answer;

body! {
    /// A new user.
    struct CreateUser {
        /// 1 to 255 characters.
        name: required Name,
        /// Unique without regard to case.
        email: required Email,
        /// The role on this API, of which the caller needs every permission. Profiles that are defaults of the role are assigned at once.
        role_id: optional Existing<RoleId>,
    }
}

/// Create a user
#[utoipa::path(
    post, path = "/users", tag = "users",
    request_body = CreateUser,
    responses((status = 201, body = UserWithKey), WriteRefusals),
    security(("management_key" = ["Users:Create"]))
)]
pub(crate) async fn create_user(
    ctx: Require<CreateUsers>,
    Json(body): Json<CreateUser>,
) -> Answer<(StatusCode, Json<UserWithKey>)> {
    let now = ctx.now();
    let user = User {
        id: UserId::from_uuid(ctx.parts().ids.next_uuid()),
        name: body.name.into(),
        email: body.email.into(),
        role_id: body.role_id.map(|role| role.0),
        is_active: true,
        created_at: now,
        updated_at: now,
    };
    let mut tx = ctx.begin().await?;
    check_role_handed_on(&ctx, &mut tx, user.role_id, "/role_id").await?;
    users::create(&mut tx, &user)
        .await
        .map_err(|error| explain(error, &user.email))?;
    let virtual_key = follow_role(&ctx, &mut tx, &user).await?;
    let id = user.id;
    let user = UserView::from(user);
    let act = Act::new("create", "user", id).about_user(id);
    ctx.record(&mut tx, act.after(&user)).await?;
    let answer = UserWithKey {
        user,
        virtual_key: virtual_key.map(NewVirtualKey::from),
    };
    ctx.commit(tx, (StatusCode::CREATED, Json(answer))).await
}
