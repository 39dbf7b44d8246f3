//! The models that a caller may call.

use std::collections::BTreeSet;
use std::sync::Arc;

use tollgate_domain::GatewayError;
use tollgate_domain::access::{Endpoint, ModelRequest, NothingLearned, evaluate};
use tollgate_domain::catalog::ModelInfo;
use tollgate_domain::provider::{Provider, ProviderName};
use tollgate_domain::snapshot::{Snapshot, VirtualKey};

use crate::credentials::Caller;
use crate::gate::Gate;

/// One model that a caller may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelListing {
    /// The provider.
    pub provider: ProviderName,
    /// The model, without the provider.
    pub model: String,
    /// What the catalog knows of it.
    pub info: Option<Arc<ModelInfo>>,
}

impl ModelListing {
    /// The name to call it by: `provider/model`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.provider, self.model)
    }
}

impl Gate {
    /// The models that `caller` may call, by provider and name. Each was put through the decision that a call would
    /// get, limits aside.
    ///
    /// # Errors
    /// When the key was revoked since it was authenticated.
    pub fn models(&self, caller: &Caller) -> Result<Vec<ModelListing>, GatewayError> {
        let snapshot = self.snapshot.load_full();
        let now = self.clock.now();
        let key = caller.find(&snapshot, now)?;
        let mut models = Vec::new();
        for provider in snapshot.providers() {
            for model in names(&snapshot, key, provider) {
                let name = format!("{}/{model}", provider.name);
                let plan = evaluate(&snapshot, key, &smallest(&name), &NothingLearned, now);
                let candidate = plan
                    .candidates
                    .into_iter()
                    .find(|candidate| candidate.provider.name == provider.name);
                if let Some(candidate) = candidate {
                    models.push(ModelListing {
                        provider: provider.name.clone(),
                        model,
                        info: candidate.info,
                    });
                }
            }
        }
        Ok(models)
    }
}

/// A request that asks for as little as one can.
fn smallest(model: &str) -> ModelRequest<'_> {
    ModelRequest {
        endpoint: Endpoint::ChatCompletions,
        model,
        body_bytes: 0,
        input_tokens: None,
        max_output_tokens: Some(1),
        choices: 1,
        has_media: false,
        unbounded: None,
    }
}

/// Every name of a model of `provider` that anybody wrote down: the catalog, its credentials, or a grant.
fn names(snapshot: &Snapshot, key: &VirtualKey, provider: &Provider) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = snapshot.catalog().models_of(provider).into_iter().collect();
    for credential in &provider.keys {
        names.extend(credential.aliases.keys().cloned());
        names.extend(credential.models.exact_names().map(str::to_owned));
    }
    let copies = crate::explain::copies_of(snapshot, key);
    let grants = key
        .grants
        .iter()
        .chain(copies.iter().flat_map(|copy| &copy.grants));
    for grant in grants.filter(|grant| grant.provider == provider.name) {
        names.extend(grant.allowed.exact_names().map(str::to_owned));
    }
    // `openai/gpt-5` and `gpt-5` are one entry in openai's lists.
    let prefix = format!("{}/", provider.name);
    names
        .into_iter()
        .map(|name| {
            name.strip_prefix(&prefix)
                .map_or_else(|| name.clone(), str::to_owned)
        })
        .collect()
}
