//! Credentials of providers. They are sealed at rest and never shown.

mod create;
mod delete;
mod list;
mod update;

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;
use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::ProviderName;
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};
use tollgate_storage::{Constraint, Db, StorageError};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::settings::MASK;
use crate::body::{Problems, Secret};
use crate::problem::{Answer, Problem};
use crate::secrets::EnvironmentNames;
use crate::state::ManagementState;

/// What a value that names an environment variable starts with.
const ENV_PREFIX: &str = "env.";
/// Longest key, in bytes.
const MAX_VALUE: usize = 16_384;

/// The operations on provider keys.
pub(super) fn operations() -> OpenApiRouter<ManagementState> {
    OpenApiRouter::new()
        .routes(routes!(
            list::list_provider_keys,
            create::create_provider_key
        ))
        .routes(routes!(
            update::update_provider_key,
            delete::delete_provider_key
        ))
}

/// A provider's key. Its value is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderKeyView {
    id: String,
    name: String,
    /// A mask, or `env.NAME`; empty when the value must be entered again. A mask that is sent back keeps the value.
    value: String,
    /// The models it may be used for; empty means all.
    models: Vec<String>,
    blacklisted_models: Vec<String>,
    /// Larger is tried first.
    weight: f64,
    /// Public name → the provider's own model id.
    aliases: BTreeMap<String, String>,
    enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderKeyBody {
    key: ProviderKeyView,
}

impl From<StoredProviderKey> for ProviderKeyView {
    fn from(key: StoredProviderKey) -> Self {
        // Without a value it is not used, whatever was said before the value was forgotten.
        let enabled = key.is_enabled && !matches!(key.value, KeyValue::Missing);
        Self {
            id: key.id.to_string(),
            name: key.name,
            value: match key.value {
                KeyValue::Literal(_) => MASK.to_owned(),
                KeyValue::Env(name) => format!("{ENV_PREFIX}{name}"),
                KeyValue::Missing => String::new(),
            },
            models: key.models,
            blacklisted_models: key.blacklisted_models,
            weight: key.weight,
            aliases: key.aliases,
            enabled,
            created_at: key.created_at,
            updated_at: key.updated_at,
        }
    }
}

/// The provider's key, or 404.
async fn get_existing(
    db: impl Into<Db<'_>>,
    provider: &ProviderName,
    id: ProviderKeyId,
) -> Answer<StoredProviderKey> {
    keys::find(db, id)
        .await?
        .filter(|key| key.provider == *provider)
        .ok_or_else(|| Problem::not_found("key of this provider", id))
}

/// A secret, or the name of an environment variable that may be named. A mask is `None`: keep what is stored.
fn read_value(
    Secret(value): &Secret,
    names: &EnvironmentNames,
    problems: &mut Problems,
) -> Option<KeyValue> {
    let text = value.expose_secret();
    if text == MASK {
        return None;
    }
    if let Some(name) = text.strip_prefix(ENV_PREFIX) {
        if !names.allow(name) {
            problems.invalid(
                "/value",
                format!(
                    "this environment variable cannot be named here; allowed are `{}`, and never `TOLLGATE_*`",
                    names.describe()
                ),
            );
        }
        return Some(KeyValue::Env(name.to_owned()));
    }
    let is_header_value = http::HeaderValue::from_str(text).is_ok();
    if text.trim().is_empty() || text.len() > MAX_VALUE || !is_header_value {
        problems.invalid(
            "/value",
            format!("a key has 1 to {MAX_VALUE} printable characters"),
        );
    }
    Some(KeyValue::Literal(value.clone()))
}

/// A taken name as the 409 it is.
fn name_taken(error: StorageError, name: &str) -> Problem {
    if error.conflicts_with(Constraint::ProviderKeyName) {
        Problem::conflict(
            "name_taken",
            format!("the provider has a key named `{name}` already"),
        )
        .at("/name")
    } else {
        error.into()
    }
}

/// Aliases whose names are names.
fn check_aliases(aliases: &BTreeMap<String, String>, problems: &mut Problems) {
    for (alias, target) in aliases {
        if alias.trim().is_empty() || target.trim().is_empty() {
            problems.invalid(
                format!("/aliases/{}", alias.replace('~', "~0").replace('/', "~1")),
                "an alias and its target cannot be empty",
            );
        }
    }
}
