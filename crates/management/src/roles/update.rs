use tollgate_domain::ids::RoleId;
use tollgate_storage::roles;

use super::{RoleBody, RoleView, get_existing, name_taken};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{Require, UpdateRoles};
use crate::extract::{Json, Path};
use crate::problem::Answer;

body! {
    /// A partial update of a role.
    struct UpdateRole ignoring ["id", "is_system", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique without regard to case.
        name: given Name,
        /// Null clears it.
        description: patch Description,
    }
}

/// Rename a role
#[utoipa::path(
    put, path = "/rbac/roles/{role_id}", tag = "roles",
    params(("role_id" = i64, Path, description = "The role's id", minimum = 0)),
    request_body = UpdateRole,
    responses((status = 200, body = RoleBody), WriteRefusals),
    security(("management_key" = ["Roles:Update"]))
)]
pub(crate) async fn update_role(
    ctx: Require<UpdateRoles>,
    Path(id): Path<RoleId>,
    Json(body): Json<UpdateRole>,
) -> Answer<Json<RoleBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let name = body.name.map_or_else(|| old.name.clone(), String::from);
    let description = body.description.apply_to(old.description.clone());
    roles::update(&mut tx, id, &name, description.as_deref(), ctx.now())
        .await
        .map_err(|error| name_taken(error, &name))?;
    let role = RoleView::from(get_existing(&mut tx, id).await?);
    let act = Act::new("update", "role", id);
    ctx.record(&mut tx, act.before(&RoleView::from(old)).after(&role))
        .await?;
    ctx.commit(tx, Json(RoleBody { role })).await
}
