use http::StatusCode;
use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ManagementKeyId, PermissionId};
use tollgate_storage::management_keys::{self, NewManagementKey};
use utoipa::ToSchema;

use super::{ApiKeyView, get_existing};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Description, Name, body};
use crate::context::{CreateApiKeys, Require};
use crate::extract::Json;
use crate::problem::Answer;
use crate::secrets::{MANAGEMENT_KEY_PREFIX, NewSecret};

body! {
    /// A new management key.
    struct CreateApiKey {
        /// 1 to 255 characters.
        name: required Name,
        /// For people.
        description: optional Description,
        /// Ids of the permissions it gets, none that the creator does not have. Left out: all that the creator has.
        scopes: optional Vec<PermissionId>,
        /// When it stops. Left out: never.
        expires_at: optional Timestamp,
    }
}

/// The new key, and its secret for the only time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedApiKey {
    api_key: ApiKeyView,
    /// The secret. It is not stored and cannot be shown again.
    key: String,
}

/// Create a management key
#[utoipa::path(
    post, path = "/api-keys", tag = "management keys",
    request_body = CreateApiKey,
    responses((status = 201, body = CreatedApiKey), WriteRefusals),
    security(("management_key" = ["APIKeys:Create"]))
)]
pub(crate) async fn create_api_key(
    ctx: Require<CreateApiKeys>,
    Json(body): Json<CreateApiKey>,
) -> Answer<(StatusCode, Json<CreatedApiKey>)> {
    let scopes = match &body.scopes {
        Some(wanted) => Some(wanted.iter().copied().collect()),
        None => ctx.actor().scopes().cloned(),
    };
    ctx.check_handed_on(scopes.as_ref(), "/scopes")?;
    let secret = NewSecret::generate(MANAGEMENT_KEY_PREFIX, ctx.parts().secrets.as_ref())?;
    let new = NewManagementKey {
        id: ManagementKeyId::from_uuid(ctx.parts().ids.next_uuid()),
        name: body.name.into(),
        description: body.description.map(String::from),
        secret_hash: secret.hash,
        key_prefix: secret.masked.clone(),
        scopes,
        expires_at: body.expires_at,
    };
    let mut tx = ctx.begin().await?;
    management_keys::create(&mut tx, &new, ctx.now()).await?;
    let api_key = ApiKeyView::from(get_existing(&mut tx, new.id).await?);
    let act = Act::new("create", "management_key", new.id).after(&api_key);
    ctx.record(&mut tx, act).await?;
    let key = secret.reveal();
    ctx.commit(
        tx,
        (StatusCode::CREATED, Json(CreatedApiKey { api_key, key })),
    )
    .await
}
