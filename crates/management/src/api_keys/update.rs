use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ManagementKeyId, PermissionId};
use tollgate_storage::management_keys::{self, ManagementKey};

use super::{ApiKeyBody, ApiKeyView, get_existing};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{Require, UpdateApiKeys};
use crate::extract::{Json, Path};
use crate::problem::Answer;

body! {
    /// A partial update of a management key.
    struct UpdateApiKey ignoring [
        "id", "key_prefix", "is_unrestricted", "last_used_at", "created_at", "updated_at",
    ] {
        /// 1 to 255 characters.
        name: given Name,
        /// Null clears it.
        description: patch Description,
        /// Replaces the whole list; none that the caller does not have.
        scopes: given Vec<PermissionId>,
        /// Null for never.
        expires_at: patch Timestamp,
    }
}

/// Change a management key
#[utoipa::path(
    put, path = "/api-keys/{api_key_id}", tag = "management keys",
    params(("api_key_id" = String, Path, description = "The key's id")),
    request_body = UpdateApiKey,
    responses((status = 200, body = ApiKeyBody), WriteRefusals),
    security(("management_key" = ["APIKeys:Update"]))
)]
pub(crate) async fn update_api_key(
    ctx: Require<UpdateApiKeys>,
    Path(id): Path<ManagementKeyId>,
    Json(body): Json<UpdateApiKey>,
) -> Answer<Json<ApiKeyBody>> {
    let scopes = body.scopes.map(|wanted| wanted.into_iter().collect());
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, id).await?;
    let new = ManagementKey {
        name: body.name.map_or_else(|| old.name.clone(), String::from),
        description: body.description.apply_to(old.description.clone()),
        scopes: scopes.or_else(|| old.scopes.clone()),
        expires_at: body.expires_at.apply_to(old.expires_at),
        updated_at: ctx.now(),
        ..old.clone()
    };
    if new.scopes != old.scopes {
        ctx.check_handed_on(new.scopes.as_ref(), "/scopes")?;
    }
    if outlives(new.expires_at, old.expires_at) {
        ctx.check_handed_on(new.scopes.as_ref(), "/expires_at")?;
    }
    management_keys::update(&mut tx, &new, ctx.now()).await?;
    let (old, api_key) = (ApiKeyView::from(old), ApiKeyView::from(new));
    let act = Act::new("update", "management_key", id);
    ctx.record(&mut tx, act.before(&old).after(&api_key))
        .await?;
    ctx.commit(tx, Json(ApiKeyBody { api_key })).await
}

/// Whether a key that stops at `new` works when one that stops at `old` does not.
fn outlives(new: Option<Timestamp>, old: Option<Timestamp>) -> bool {
    old.is_some_and(|old| new.is_none_or(|new| new > old))
}
