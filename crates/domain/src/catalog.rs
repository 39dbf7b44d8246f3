//! What models cost, and how large their input and output may be.
//!
//! Prices are integers of pico-dollars (1e-12 USD) per unit. An unknown price is a state of its own, never zero.

mod price;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use price::{ModelPrice, Prices};

use crate::provider::{Provider, ProviderName};

/// What is known of one model of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelInfo {
    /// Its prices; `None` when nobody knows them.
    pub price: Option<ModelPrice>,
    /// Most tokens of input and output together.
    pub context_window: Option<u64>,
    /// Most tokens of output.
    pub max_output_tokens: Option<u64>,
}

/// The catalog: what the binary brings, and the administrator's overrides, which win.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    overrides: BTreeMap<(ProviderName, String), Arc<ModelInfo>>,
}

impl Catalog {
    /// A catalog with these overrides. Model names are compared without case.
    pub fn with_overrides(
        overrides: impl IntoIterator<Item = (ProviderName, String, ModelInfo)>,
    ) -> Self {
        Self {
            overrides: overrides
                .into_iter()
                .map(|(provider, model, info)| ((provider, model.to_lowercase()), Arc::new(info)))
                .collect(),
        }
    }

    /// What is known of `model` (the provider's own name for it), if anything.
    pub fn find(&self, provider: &Provider, model: &str) -> Option<Arc<ModelInfo>> {
        self.overrides
            .get(&(provider.name.clone(), model.to_lowercase()))
            .cloned()
    }

    /// The names of the models of `provider` that the catalog knows, in order.
    pub fn models_of(&self, provider: &Provider) -> Vec<String> {
        self.overrides
            .keys()
            .filter(|(name, _)| *name == provider.name)
            .map(|(_, model)| model.clone())
            .collect()
    }
}
