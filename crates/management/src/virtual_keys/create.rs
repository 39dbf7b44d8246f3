use http::StatusCode;
use tollgate_domain::access::profile::ProfileContent;
use tollgate_domain::ids::VirtualKeyId;
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::virtual_keys::{self, VirtualKey};

use super::content::{CreateVirtualKey, UpdateVirtualKey, apply_update};
use super::{VirtualKeyBody, explain, view};
use crate::access_profiles::number_provider_configs;
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::context::{CreateVirtualKeys, Require};
use crate::extract::Json;
use crate::mcp::{names, read_grants};
use crate::problem::Answer;
use crate::secrets::{NewSecret, VIRTUAL_KEY_PREFIX};

/// Create a virtual key
///
/// Its value is shown once, in this answer.
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
    let (body, now) = (UpdateVirtualKey::from(body), ctx.now());
    let empty = VirtualKey {
        id: VirtualKeyId::from_uuid(ctx.parts().ids.next_uuid()),
        name: String::new(),
        description: None,
        holder: KeyHolder::Itself,
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
    if let Some(configs) = &body.mcp_configs {
        key.content.mcp = read_grants(&mut tx, configs).await?;
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
