//! From the model's name in a request to the providers that a source allows for it, best first.

use std::cmp::Ordering;
use std::sync::Arc;

use super::caller::Source;
use crate::access::grant::ProviderGrant;
use crate::error::{ErrorKind, GatewayError};
use crate::provider::{Provider, ProviderKey};
use crate::snapshot::Snapshot;

/// One provider and model that a source allows.
pub(super) struct Route<'a> {
    pub(super) provider: &'a Arc<Provider>,
    pub(super) grant: &'a ProviderGrant,
    pub(super) model: &'a str,
}

/// What `name` may mean to this source, best first.
pub(super) fn routes<'a>(
    snapshot: &'a Snapshot,
    source: &Source<'a>,
    name: &'a str,
) -> Result<Vec<Route<'a>>, GatewayError> {
    let route = |grant: &'a ProviderGrant, model| {
        snapshot
            .provider(grant.provider.as_str())
            .map(|provider| Route {
                provider,
                grant,
                model,
            })
    };
    match resolve_name(snapshot, name) {
        Name::Qualified(provider, model) => {
            let grant = source
                .grants
                .iter()
                .find(|grant| grant.provider == provider.name && grant.allows(model));
            Ok(grant
                .and_then(|grant| route(grant, model))
                .into_iter()
                .collect())
        }
        Name::Bare(model) => {
            let granted: Vec<_> = source
                .grants
                .iter()
                .filter(|grant| grant.allows(model))
                .filter_map(|grant| route(grant, model))
                .collect();
            let is_offered = |route: &Route<'_>| {
                route.grant.allowed.names(&route.provider.name, model)
                    || offers(snapshot, route.provider, model)
            };
            let (offered, unknown): (Vec<_>, Vec<_>) = granted.into_iter().partition(is_offered);
            order_by_weight(if offered.is_empty() { unknown } else { offered }, model)
        }
    }
}

/// Largest weight first. Two providers at the top that nothing orders make the name ambiguous.
fn order_by_weight<'a>(
    mut routes: Vec<Route<'a>>,
    model: &str,
) -> Result<Vec<Route<'a>>, GatewayError> {
    let weight = |route: &Route<'_>| route.grant.weight.unwrap_or(f64::NEG_INFINITY);
    routes.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    if let [first, second, ..] = &routes[..]
        && weight(first).total_cmp(&weight(second)) == Ordering::Equal
    {
        let names: Vec<_> = routes
            .iter()
            .map(|route| format!("`{}/{model}`", route.provider.name))
            .collect();
        return Err(GatewayError::new(
            ErrorKind::ModelAmbiguous,
            format!(
                "the model name `{model}` is offered by several providers; use one of {}",
                names.join(", ")
            ),
        )
        .with_param("model"));
    }
    Ok(routes)
}

pub(super) fn why_no_route(
    snapshot: &Snapshot,
    source: &Source<'_>,
    name: &str,
) -> (ErrorKind, String) {
    match resolve_name(snapshot, name) {
        Name::Qualified(provider, _)
            if !source
                .grants
                .iter()
                .any(|grant| grant.provider == provider.name) =>
        {
            (
                ErrorKind::ProviderBlocked,
                format!(
                    "`{}` does not grant the provider `{}`",
                    source.name, provider.name
                ),
            )
        }
        Name::Qualified(provider, model) => (
            ErrorKind::ModelBlocked,
            format!(
                "`{}` does not grant the model `{model}` of `{}`",
                source.name, provider.name
            ),
        ),
        Name::Bare(model) => (
            ErrorKind::ModelBlocked,
            format!("`{}` does not grant the model `{model}`", source.name),
        ),
    }
}

/// What a model name stands for.
enum Name<'a> {
    /// `provider/model`, where the provider exists.
    Qualified(&'a Arc<Provider>, &'a str),
    /// A name without a provider.
    Bare(&'a str),
}

/// The first path part is a provider only when a provider of that name exists; otherwise the whole is a bare name
/// (`meta-llama/Llama-3`).
fn resolve_name<'a>(snapshot: &'a Snapshot, name: &'a str) -> Name<'a> {
    name.split_once('/')
        .filter(|(_, model)| !model.is_empty())
        .and_then(|(provider, model)| Some(Name::Qualified(snapshot.provider(provider)?, model)))
        .unwrap_or(Name::Bare(name))
}

/// Whether `provider` is known to offer `model`: its credentials or the catalog name it.
fn offers(snapshot: &Snapshot, provider: &Provider, model: &str) -> bool {
    let named_by_key = |key: &Arc<ProviderKey>| {
        key.models.names(&provider.name, model)
            || key
                .aliases
                .keys()
                .any(|alias| alias.eq_ignore_ascii_case(model))
    };
    provider.keys.iter().any(named_by_key) || snapshot.catalog().find(provider, model).is_some()
}
