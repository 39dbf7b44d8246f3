use http::StatusCode;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{McpGrants, ProfileContent};
use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::virtual_keys::{self, VirtualKey};
use tollgate_storage::{Tx, copies, users};

use super::content::{CreateVirtualKey, UpdateVirtualKey, apply_update};
use super::{VirtualKeyBody, explain, view};
use crate::access_profiles::number_provider_configs;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{CreateVirtualKeys, Require};
use crate::extract::Json;
use crate::mcp::{names, read_grants};
use crate::problem::{Answer, Problem};
use crate::secrets::{NewSecret, VIRTUAL_KEY_PREFIX};

/// Create a virtual key
///
/// Its value is shown once, in this answer. A key that a user makes is placed under the user's access profiles when one
/// of those that are live then governs created keys: it is managed like the key that came with the profile, and goes
/// with the last profile. What it grants and limits itself holds besides, and cannot be edited any more.
#[utoipa::path(
    post, path = "/virtual-keys", tag = "virtual keys",
    request_body = CreateVirtualKey,
    responses((status = 201, body = VirtualKeyBody), WriteRefusals),
    security(("management_key" = ["VirtualKeys:Create"]))
)]
pub(crate) async fn create_virtual_key(
    ctx: Require<CreateVirtualKeys>,
    Json(body): Json<CreateVirtualKey>,
) -> Answer<(StatusCode, Json<VirtualKeyBody>)> {
    let secret = NewSecret::generate(VIRTUAL_KEY_PREFIX, ctx.parts().secrets.as_ref())?;
    let user = body.user_id.as_ref().map(|user| user.0);
    let (body, now) = (UpdateVirtualKey::from(body), ctx.now());
    let empty = VirtualKey {
        id: VirtualKeyId::from_uuid(ctx.parts().ids.next_uuid()),
        name: String::new(),
        description: None,
        holder: user.map_or(KeyHolder::Itself, KeyHolder::User),
        is_managed: false,
        is_active: true,
        expires_at: None,
        masked_value: secret.masked.clone(),
        previous_until: None,
        content: ProfileContent::default(),
        created_at: now,
        updated_at: now,
    };
    let mut key = apply_update(&empty, &body, ctx.parts().ids.as_ref())?;
    let mut tx = ctx.begin().await?;
    if let Some(user) = user {
        key.is_managed = is_governed(&mut tx, user, now).await?;
    }
    if let Some(configs) = &body.mcp_configs {
        key.content.mcp = read_grants(&mut tx, configs, &McpGrants::default()).await?;
    }
    number_provider_configs(&mut tx, &mut key.content).await?;
    let names = names(&mut tx, [&key.content.mcp]).await?;
    virtual_keys::create(&mut tx, &key, &secret.hash)
        .await
        .map_err(|error| explain(error, &key.name))?;
    let act = Act::new("create", "virtual_key", key.id).after(&view(&ctx, &key, &names));
    ctx.record(&mut tx, act).await?;
    let mut virtual_key = view(&ctx, &key, &names);
    virtual_key.value = secret.reveal();
    ctx.commit(
        tx,
        (StatusCode::CREATED, Json(VirtualKeyBody { virtual_key })),
    )
    .await
}

/// Whether keys that the user makes now are placed under the user's profiles.
async fn is_governed(tx: &mut Tx, user: UserId, now: Timestamp) -> Answer<bool> {
    if users::find(&mut *tx, user).await?.is_none() {
        return Err(Problem::unknown_reference(
            "/user_id",
            format!("no user `{user}` exists"),
        ));
    }
    let held = copies::of_user(tx, user).await?;
    Ok(held.iter().any(|stored| {
        let copy = &stored.copy;
        let is_live = copy.is_active && copy.expires_at.is_none_or(|until| now < until);
        is_live && copy.content.govern_created_keys
    }))
}
