use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};

use super::{
    Aliases, KeySecret, ProviderKeyBody, ProviderKeyView, get_existing, name_taken, read_value,
};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{ModelEntry, Name, Secret, Weight, body};
use crate::context::{Context, Require, UpdateProviders};
use crate::extract::{Json, Path};
use crate::problem::{Answer, Problem};
use crate::provider_configs::model_names;

body! {
    /// A partial update of a provider's key.
    struct UpdateProviderKey ignoring ["id", "created_at", "updated_at"] {
        /// 1 to 255 characters, unique at the provider.
        name: given Name,
        /// The secret, or `env.NAME`. The mask of an answer keeps what is stored.
        value: given KeySecret<true>,
        /// Replaces the whole list.
        models: given Vec<ModelEntry>,
        /// Replaces the whole list.
        blacklisted_models: given Vec<ModelEntry>,
        /// Larger is tried first.
        weight: given Weight,
        /// Replaces all of them.
        aliases: given Aliases,
        /// Whether it is used. A key without a value cannot be.
        enabled: given bool,
    }
}

/// Change a provider's key
#[utoipa::path(
    put, path = "/providers/{provider}/keys/{key_id}", tag = "providers",
    params(
        ("provider" = String, Path, description = "The provider's name"),
        ("key_id" = String, Path, description = "The key's id"),
    ),
    request_body = UpdateProviderKey,
    responses((status = 200, body = ProviderKeyBody), WriteRefusals),
    security(("management_key" = ["Providers:Update"]))
)]
pub(crate) async fn update_provider_key(
    ctx: Require<UpdateProviders>,
    Path((provider, id)): Path<(ProviderName, ProviderKeyId)>,
    Json(body): Json<UpdateProviderKey>,
) -> Answer<Json<ProviderKeyBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, &provider, id).await?;
    let new = apply(&ctx, &old, body)?;
    keys::update(&mut tx, &new)
        .await
        .map_err(|error| name_taken(error, &new.name))?;
    let (before, key) = (ProviderKeyView::from(old), ProviderKeyView::from(new));
    let act = Act::new("update", "provider_key", id);
    ctx.record(&mut tx, act.before(&before).after(&key)).await?;
    ctx.commit(tx, Json(ProviderKeyBody { key })).await
}

fn apply(
    ctx: &Context,
    old: &StoredProviderKey,
    body: UpdateProviderKey,
) -> Answer<StoredProviderKey> {
    let is_switched_on = body.enabled == Some(true);
    // An empty text is how an answer shows a value that is missing: sent back, it changes nothing.
    let value = body
        .value
        .map(|KeySecret(value)| value)
        .filter(|Secret(value)| {
            let is_blank = secrecy::ExposeSecret::expose_secret(value).is_empty();
            !(is_blank && matches!(old.value, KeyValue::Missing))
        })
        .and_then(|value| read_value(&value));
    let is_entered_again = value.is_some() && matches!(old.value, KeyValue::Missing);
    let new = StoredProviderKey {
        name: body.name.map_or_else(|| old.name.clone(), String::from),
        value: value.unwrap_or_else(|| old.value.clone()),
        models: body.models.map_or_else(|| old.models.clone(), model_names),
        blacklisted_models: body
            .blacklisted_models
            .map_or_else(|| old.blacklisted_models.clone(), model_names),
        weight: body.weight.map_or(old.weight, |weight| weight.0),
        aliases: body
            .aliases
            .map_or_else(|| old.aliases.clone(), |new| new.0),
        is_enabled: body.enabled.unwrap_or(old.is_enabled || is_entered_again),
        updated_at: ctx.now(),
        ..old.clone()
    };
    if is_switched_on && matches!(new.value, KeyValue::Missing) {
        return Err(Problem::inconsistent(
            "/value",
            "this key has no value since its provider's address changed; enter it again",
        ));
    }
    Ok(new)
}
