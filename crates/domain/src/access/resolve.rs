//! From the model's name in a request to the provider and model that are meant.

use std::sync::Arc;

use crate::provider::Provider;
use crate::snapshot::Snapshot;

/// What a model name stands for.
pub(super) enum Name<'a> {
    /// `provider/model`, where the provider exists.
    Qualified(&'a Arc<Provider>, &'a str),
    /// A name without a provider.
    Bare(&'a str),
}

/// The first path part is a provider only when a provider of that name exists; otherwise the whole is a bare name
/// (`meta-llama/Llama-3`).
pub(super) fn resolve_name<'a>(snapshot: &'a Snapshot, name: &'a str) -> Name<'a> {
    name.split_once('/')
        .filter(|(_, model)| !model.is_empty())
        .and_then(|(provider, model)| Some(Name::Qualified(snapshot.provider(provider)?, model)))
        .unwrap_or(Name::Bare(name))
}

/// Whether `provider` is known to offer `model`: its credentials or the catalog name it.
pub(super) fn offers(snapshot: &Snapshot, provider: &Provider, model: &str) -> bool {
    let named_by_key = |key: &Arc<crate::provider::ProviderKey>| {
        key.models.names(&provider.name, model)
            || key
                .aliases
                .keys()
                .any(|alias| alias.eq_ignore_ascii_case(model))
    };
    provider.keys.iter().any(named_by_key) || snapshot.catalog().find(provider, model).is_some()
}
