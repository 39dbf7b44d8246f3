//! Model providers: where requests go, and with which credentials.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};

use crate::access::ModelList;
use crate::ids::ProviderKeyId;
use crate::limits::Meter;

/// The name of a provider: `[a-z0-9][a-z0-9_.-]{0,63}`. It is the first part of `provider/model`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct ProviderName(Arc<str>);

/// A text that is no provider name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a provider name; use 1 to 64 lowercase letters, digits, `_`, `.` or `-`, starting with a letter or digit"
)]
pub struct InvalidProviderName(String);

impl ProviderName {
    /// What stands in records of requests that never got as far as a provider.
    pub fn unknown() -> Self {
        Self("unknown".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ProviderName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProviderName {
    type Err = InvalidProviderName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let well_formed = bytes.first().is_some_and(alphanumeric)
            && bytes.len() <= 64
            && bytes
                .iter()
                .all(|byte| alphanumeric(byte) || matches!(byte, b'_' | b'.' | b'-'));
        if well_formed {
            Ok(Self(text.into()))
        } else {
            Err(InvalidProviderName(text.chars().take(80).collect()))
        }
    }
}

impl<'de> Deserialize<'de> for ProviderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The wire format that a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProviderType {
    /// OpenAI's, and what is compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
    /// Anthropic's messages.
    Anthropic,
    /// Google's generateContent.
    Gemini,
    /// Built in: answers without any account, deterministically.
    Sandbox,
}

impl ProviderType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::OpenAi, Self::Anthropic, Self::Gemini, Self::Sandbox];

    /// As the API and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Sandbox => "sandbox",
        }
    }

    /// The type that the API writes as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How to reach a provider.
#[derive(Clone)]
pub struct NetworkSettings {
    /// Scheme, host, port and path prefix, without a trailing slash and without `/v1`.
    pub base_url: url::Url,
    /// From sending the request to the end of the answer.
    pub request_timeout: Duration,
    /// Longest pause between two pieces of an answer.
    pub idle_timeout: Duration,
    /// Further attempts after the first; only before the first byte of an answer.
    pub max_retries: u32,
    /// Pause before the first retry; doubles with each.
    pub retry_backoff_initial: Duration,
    /// Longest pause between retries.
    pub retry_backoff_max: Duration,
    /// Sent with every request. Values are secrets.
    pub extra_headers: Vec<(String, SecretString)>,
    /// Certificate authorities to trust besides the platform's, PEM.
    pub ca_cert_pem: Option<Arc<str>>,
    /// Whether names may resolve to private addresses. Link-local and metadata addresses never may.
    pub allow_private_network: bool,
}

/// Shows where it leads and nothing that could be a secret.
impl fmt::Debug for NetworkSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkSettings")
            .field("base_url", &self.base_url.as_str())
            .field("request_timeout", &self.request_timeout)
            .field("max_retries", &self.max_retries)
            .finish_non_exhaustive()
    }
}

/// One credential of a provider.
#[derive(Debug, Clone)]
pub struct ProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// Its name, for people.
    pub name: Arc<str>,
    /// The secret itself; empty for a provider that takes none.
    pub secret: SecretString,
    /// The models it may be used for; empty means all.
    pub models: ModelList,
    /// The models it may not be used for.
    pub blacklisted_models: ModelList,
    /// Larger is tried first.
    pub weight: f64,
    /// Public name → the provider's own model id.
    pub aliases: BTreeMap<String, String>,
}

/// A configured provider, as the data plane reads it. Disabled keys are not in it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name.
    pub name: ProviderName,
    /// Its wire format.
    pub kind: ProviderType,
    /// Whether it takes no credential.
    pub is_keyless: bool,
    /// How to reach it; absent for [`ProviderType::Sandbox`].
    pub network: Option<Arc<NetworkSettings>>,
    /// Its credentials, largest weight first.
    pub keys: Vec<Arc<ProviderKey>>,
    /// Limits on everything sent to it.
    pub meters: Vec<Arc<Meter>>,
    /// Steps with every edit, so that pooled connections of older settings are not used again.
    pub revision: u64,
}

impl Provider {
    /// The credentials that may be used for `model` (`None` = for some model), among those that a grant names (`None` = all), best first.
    pub fn keys_for<'a>(
        &'a self,
        model: Option<&'a str>,
        granted: Option<&'a [ProviderKeyId]>,
    ) -> impl Iterator<Item = &'a Arc<ProviderKey>> + 'a {
        self.keys.iter().filter(move |key| {
            granted.is_none_or(|ids| ids.contains(&key.id))
                && model.is_none_or(|model| key.serves(&self.name, model))
        })
    }
}

impl ProviderKey {
    /// Whether it may be used for `model` of its provider.
    fn serves(&self, provider: &ProviderName, model: &str) -> bool {
        let is_listed = self.models.is_empty()
            || self.models.contains(provider, model)
            || self.has_alias(model);
        is_listed && !self.blacklisted_models.contains(provider, model)
    }

    /// The provider's own id for `model`, when this key renames it.
    pub fn resolve_alias<'a>(&'a self, model: &'a str) -> &'a str {
        self.aliases
            .iter()
            .find(|(alias, _)| alias.eq_ignore_ascii_case(model))
            .map_or(model, |(_, target)| target.as_str())
    }

    fn has_alias(&self, model: &str) -> bool {
        self.aliases
            .keys()
            .any(|alias| alias.eq_ignore_ascii_case(model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provider_names_are_checked() {
        for good in ["openai", "a", "my-llm_2.5", "0"] {
            assert_eq!(good.parse::<ProviderName>().unwrap().as_str(), good);
        }
        for bad in ["", "OpenAI", "-a", "a/b", "a b", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<ProviderName>().is_err(), "{bad}");
        }
    }
}
