use http::StatusCode;
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};

use super::{Aliases, KeySecret, ProviderKeyBody, ProviderKeyView, name_taken, read_value};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{ModelEntry, Name, Weight, body};
use crate::context::{CreateProviders, Require};
use crate::extract::{Json, Path};
use crate::problem::Answer;
use crate::provider_configs::model_names;

body! {
    /// A new key of a provider.
    struct CreateProviderKey {
        /// 1 to 255 characters, unique at the provider.
        name: required Name,
        /// The secret, or `env.NAME` for an environment variable that the boot configuration allows.
        value: required KeySecret<false>,
        /// The models it may be used for; empty means all.
        models: optional Vec<ModelEntry>,
        /// The models it may not be used for.
        blacklisted_models: optional Vec<ModelEntry>,
        /// Larger is tried first. 1 unless said otherwise.
        weight: optional Weight,
        /// Public name → the provider's own model id.
        aliases: optional Aliases,
        /// Whether it is used. True unless said otherwise.
        enabled: optional bool,
    }
}

/// Add a key to a provider
#[utoipa::path(
    post, path = "/providers/{provider}/keys", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name")),
    request_body = CreateProviderKey,
    responses((status = 201, body = ProviderKeyBody), WriteRefusals),
    security(("management_key" = ["Providers:Create"]))
)]
pub(crate) async fn create_provider_key(
    ctx: Require<CreateProviders>,
    Path(provider): Path<ProviderName>,
    Json(body): Json<CreateProviderKey>,
) -> Answer<(StatusCode, Json<ProviderKeyBody>)> {
    let now = ctx.now();
    let id = ProviderKeyId::from_uuid(ctx.parts().ids.next_uuid());
    let key = StoredProviderKey {
        id,
        name: body.name.into(),
        // It is no mask: reading the body has seen to that.
        value: read_value(&body.value.0).unwrap_or(KeyValue::Missing),
        models: model_names(body.models.unwrap_or_default()),
        blacklisted_models: model_names(body.blacklisted_models.unwrap_or_default()),
        weight: body.weight.map_or(1.0, |weight| weight.0),
        aliases: body.aliases.unwrap_or_default().0,
        is_enabled: body.enabled.unwrap_or(true),
        provider,
        created_at: now,
        updated_at: now,
    };
    let mut tx = ctx.begin().await?;
    crate::providers::get_existing(&mut tx, &key.provider).await?;
    keys::create(&mut tx, &key)
        .await
        .map_err(|error| name_taken(error, &key.name))?;
    let key = ProviderKeyView::from(key);
    ctx.record(&mut tx, Act::new("create", "provider_key", id).after(&key))
        .await?;
    ctx.commit(tx, (StatusCode::CREATED, Json(ProviderKeyBody { key })))
        .await
}
