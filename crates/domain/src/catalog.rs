//! What models cost, and how large their input and output may be.
//!
//! Prices are integers of pico-dollars (1e-12 USD) per unit. An unknown price is a state of its own, never zero.
//! The binary brings a table made by `cargo xtask catalog`; an administrator's overrides win over it.

mod embedded;
mod index;
mod price;

use std::sync::Arc;

pub use price::{ModelPrice, PriceTier, Prices};

use self::index::{Index, compare_models};

use crate::provider::{Provider, ProviderName, ProviderType};

/// What is known of one model of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelInfo {
    /// Its prices; `None` when nobody knows them.
    pub price: Option<ModelPrice>,
    /// Most tokens of input; where a vendor counts input and output together, of both.
    pub context_window: Option<u64>,
    /// Most tokens of output.
    pub max_output_tokens: Option<u64>,
    /// What it can do beyond text in and text out.
    pub capabilities: Capabilities,
    /// Where the row comes from; `None` for an override.
    pub provenance: Option<Provenance>,
}

/// What a model can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "four independent facts, each read on its own"
)]
pub struct Capabilities {
    /// Thinks before it answers; the provider bills tokens that nobody sees.
    pub reasoning: bool,
    /// Calls tools.
    pub tools: bool,
    /// Reads images.
    pub vision: bool,
    /// Answers in a given JSON schema.
    pub structured_output: bool,
}

/// Where an embedded row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provenance {
    /// The package and its version, such as `litellm 1.109.1`.
    pub source: &'static str,
    /// The day the data was taken, `YYYY-MM-DD`.
    pub date: &'static str,
    /// A price was finer than a pico-dollar and has been rounded up.
    pub is_rounded: bool,
    /// Another source names another price.
    pub is_disputed: bool,
}

/// One model in the catalog.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The provider's name, as the catalog spells it.
    pub provider: Arc<str>,
    /// The model's name at the provider.
    pub model: Box<str>,
    /// What is known of it.
    pub info: Arc<ModelInfo>,
}

/// Names of providers under which people know those of the table, in order.
const ALIASES: [(&str, &str); 21] = [
    ("amazon-bedrock", "bedrock"),
    ("aws", "bedrock"),
    ("aws-bedrock", "bedrock"),
    ("azure-openai", "azure"),
    ("azure_openai", "azure"),
    ("fireworks-ai", "fireworks"),
    ("fireworks_ai", "fireworks"),
    ("google", "gemini"),
    ("google-ai-studio", "gemini"),
    ("mistralai", "mistral"),
    ("moonshotai", "moonshot"),
    ("together-ai", "together"),
    ("together_ai", "together"),
    ("vertex-ai", "vertex"),
    ("vertex_ai", "vertex"),
    ("vertexai", "vertex"),
    ("voyageai", "voyage"),
    ("x-ai", "xai"),
    ("x_ai", "xai"),
    ("z-ai", "zai"),
    ("zhipuai", "bigmodel"),
];

/// The catalog: what the binary brings, and the administrator's overrides, which win.
///
/// The default is the embedded table alone. A provider finds the embedded rows by its name; one whose name the table
/// does not have is somebody's own server, and has only the prices that an administrator sets.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    overrides: Arc<Index>,
}

impl Catalog {
    /// A catalog with these overrides. Model names are compared without case.
    ///
    /// Limits and capabilities that an override leaves open stay as the embedded table has them.
    pub fn with_overrides(
        overrides: impl IntoIterator<Item = (ProviderName, String, ModelInfo)>,
    ) -> Self {
        let entry = |(provider, model, info): (ProviderName, String, ModelInfo)| Entry {
            info: Arc::new(filled_up(info, find_embedded(provider.as_str(), &model))),
            provider: provider.as_str().into(),
            model: model.into(),
        };
        Self {
            overrides: Arc::new(Index::new(overrides.into_iter().map(entry).collect())),
        }
    }

    /// What is known of `model` (the provider's own name for it), if anything.
    pub fn find(&self, provider: &Provider, model: &str) -> Option<Arc<ModelInfo>> {
        self.overrides
            .find(provider.name.as_str(), model)
            .or_else(|| find_embedded(embedded_name(provider), model))
            .map(|entry| entry.info.clone())
    }

    /// The names of the models of `provider` that the catalog knows, in order.
    pub fn models_of(&self, provider: &Provider) -> Vec<String> {
        let overridden = self.overrides.of_provider(provider.name.as_str());
        let embedded = embedded::rows().of_provider(canonical(embedded_name(provider)));
        let mut names: Vec<String> = overridden
            .iter()
            .chain(embedded)
            .map(|entry| String::from(&*entry.model))
            .collect();
        names.sort_by(|a, b| compare_models(a, b));
        names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        names
    }

    /// Every entry that holds: overrides, and the embedded rows that none of them replaces, each in order.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        let overrides = self.overrides.entries();
        let is_replaced = |row: &&Entry| {
            overrides.iter().any(|entry| {
                canonical(&entry.provider) == &*row.provider
                    && entry.model.eq_ignore_ascii_case(&row.model)
            })
        };
        let embedded = embedded::rows()
            .entries()
            .iter()
            .filter(move |row| !is_replaced(row));
        overrides.iter().chain(embedded)
    }
}

fn find_embedded(provider: &str, model: &str) -> Option<&'static Entry> {
    embedded::rows().find(canonical(provider), model)
}

fn embedded_name(provider: &Provider) -> &str {
    // The sandbox is priced whatever name it was given.
    if provider.kind == ProviderType::Sandbox {
        return embedded::SANDBOX;
    }
    provider.name.as_str()
}

fn canonical(name: &str) -> &str {
    ALIASES
        .binary_search_by_key(&name, |(alias, _)| alias)
        .map_or(name, |at| ALIASES[at].1)
}

fn filled_up(info: ModelInfo, embedded: Option<&Entry>) -> ModelInfo {
    let Some(row) = embedded.map(|entry| &entry.info) else {
        return info;
    };
    ModelInfo {
        context_window: info.context_window.or(row.context_window),
        max_output_tokens: info.max_output_tokens.or(row.max_output_tokens),
        capabilities: if info.capabilities == Capabilities::default() {
            row.capabilities
        } else {
            info.capabilities
        },
        ..info
    }
}

#[cfg(test)]
mod tests;
