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
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa_axum::routes;

use super::settings::MASK;
use crate::body::{FromJson, Node, NotBlank, Problems, Reference, Secret};
use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// What a value that names an environment variable starts with.
const ENV_PREFIX: &str = "env.";
/// Longest key, in bytes.
const MAX_VALUE: usize = 16_384;

/// The operations on provider keys.
pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_provider_keys, create::create_provider_key))
        .routes(|| routes!(update::update_provider_key, delete::delete_provider_key))
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

/// A secret, or the name of an environment variable. A mask is `None`: keep what is stored.
fn read_value(Secret(value): &Secret) -> Option<KeyValue> {
    let text = value.expose_secret();
    if text == MASK {
        return None;
    }
    Some(match text.strip_prefix(ENV_PREFIX) {
        Some(name) => KeyValue::Env(name.to_owned()),
        None => KeyValue::Literal(value.clone()),
    })
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

/// A key that is sent in a header, or the name of an environment variable that has one. Answers show a missing value as
/// an empty text and every other as a mask; where one is `STORED`, both may be sent back.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeySecret<const STORED: bool>(pub(crate) Secret);

impl<const STORED: bool> FromJson for KeySecret<STORED> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let secret = Secret::from_json(node, problems)?;
        let text = secret.0.expose_secret();
        let is_printable = text
            .bytes()
            .all(|byte| byte == b'\t' || matches!(byte, b' '..=b'~'));
        let is_blank = text.trim().is_empty() && !(STORED && text.is_empty());
        if is_blank || text.len() > MAX_VALUE || !is_printable {
            problems.invalid(
                node.pointer.as_str(),
                format!("a key has 1 to {MAX_VALUE} printable characters"),
            );
            return None;
        }
        if text == MASK && !STORED {
            problems.inconsistent(node.pointer.as_str(), "a mask is no value; enter the key");
            return None;
        }
        if let Some(name) = text.strip_prefix(ENV_PREFIX) {
            let variable = Reference::Variable(name.to_owned());
            problems.refer(node.pointer.as_str(), variable);
        }
        Some(Self(secret))
    }

    fn schema() -> RefOr<Schema> {
        let visible = r"[\t\x20-\x7e]*[\x21-\x7e][\t\x20-\x7e]*";
        let pattern = if STORED {
            format!("^({visible})?$")
        } else {
            format!("^{visible}$")
        };
        ObjectBuilder::new()
            .schema_type(Type::String)
            .write_only(true)
            .max_length(Some(MAX_VALUE))
            .pattern(Some(pattern))
            .into()
    }
}

/// Public name → the provider's own model id; neither is blank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Aliases(BTreeMap<String, String>);

impl FromJson for Aliases {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let targets = BTreeMap::<String, NotBlank>::from_json(node, problems)?;
        if targets.keys().any(|alias| alias.trim().is_empty()) {
            problems.invalid(node.pointer.as_str(), "an alias cannot be blank");
            return None;
        }
        let names = targets.into_iter();
        Some(Self(
            names
                .map(|(alias, target)| (alias, target.into()))
                .collect(),
        ))
    }

    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new().pattern(Some(r"\S"));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(Some(name))
            .additional_properties(Some(AdditionalProperties::RefOr(NotBlank::schema())))
            .into()
    }
}
