use tollgate_domain::ids::UserId;
use tollgate_storage::users;

use super::{UserView, get_existing};
use crate::answers::{Message, WriteRefusals};
use crate::audit::Act;
use crate::context::{DeleteUsers, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;

/// Delete a user
///
/// The user's copies and keys go as well; the next request with one of the keys is refused.
#[utoipa::path(
    delete, path = "/users/{user_id}", tag = "users",
    params(("user_id" = String, Path, description = "The user's id")),
    responses((status = 200, body = Message), WriteRefusals),
    security(("management_key" = ["Users:Delete"]))
)]
pub(crate) async fn delete_user(
    ctx: Require<DeleteUsers>,
    Path(id): Path<UserId>,
) -> Answer<Json<Message>> {
    let mut tx = ctx.begin().await?;
    let user = get_existing(&mut tx, id).await?;
    users::delete(&mut tx, id).await?;
    let act = Act::new("delete", "user", id).about_user(id);
    ctx.record(&mut tx, act.before(&UserView::from(user)))
        .await?;
    ctx.commit(tx, Message::new("user deleted")).await
}
