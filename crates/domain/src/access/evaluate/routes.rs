//! From the model's name in a request to the providers that a source allows for it, best first.

use std::cmp::Ordering;
use std::sync::Arc;

use super::caller::Source;
use crate::access::grant::ProviderGrant;
use crate::access::plan::Refusal;
use crate::error::ErrorKind;
use crate::provider::{Provider, ProviderKey};
use crate::snapshot::Snapshot;

/// One provider and model that a source allows, or would refuse if it were not in shadow mode.
pub(super) struct Route<'a> {
    pub(super) provider: &'a Arc<Provider>,
    /// What the source says of the provider; a source in shadow mode may say nothing.
    pub(super) grant: Option<&'a ProviderGrant>,
    pub(super) model: &'a str,
    /// What the source would have refused it with.
    pub(super) shadowed: Option<Refusal>,
}

/// What `name` may mean to this source, best first, or why nothing.
pub(super) fn routes_or_why<'a>(
    snapshot: &'a Snapshot,
    source: &Source<'a>,
    name: &'a str,
) -> Result<Vec<Route<'a>>, Refusal> {
    let routes = routes(snapshot, source, name)?;
    if !routes.is_empty() {
        return Ok(routes);
    }
    let why = why_no_route(snapshot, source, name);
    if !source.settings.shadow {
        return Err(why);
    }
    let mut routes = shadow_routes(snapshot, source, name)?;
    if routes.is_empty() {
        return Err(why);
    }
    for route in &mut routes {
        route.shadowed = Some(why.clone());
    }
    Ok(routes)
}

/// What this source allows.
fn routes<'a>(
    snapshot: &'a Snapshot,
    source: &Source<'a>,
    name: &'a str,
) -> Result<Vec<Route<'a>>, Refusal> {
    let route = |grant: &'a ProviderGrant, model| {
        snapshot
            .provider(grant.provider.as_str())
            .map(|provider| Route::new(provider, Some(grant), model))
    };
    match resolve_name(snapshot, name) {
        Name::Qualified(provider, model) => {
            let grant = source
                .grant(provider)
                .filter(|grant| grant.allows(model))
                .and_then(|grant| route(grant, model));
            Ok(grant.into_iter().collect())
        }
        Name::Bare(model) => {
            let granted = source
                .grants
                .iter()
                .filter(|grant| grant.allows(model))
                .filter_map(|grant| route(grant, model));
            bare_routes(snapshot, granted, model)
        }
    }
}

/// What there is, whether this source allows it or not.
fn shadow_routes<'a>(
    snapshot: &'a Snapshot,
    source: &Source<'a>,
    name: &'a str,
) -> Result<Vec<Route<'a>>, Refusal> {
    let route = |provider, model| Route::new(provider, source.grant(provider), model);
    match resolve_name(snapshot, name) {
        Name::Qualified(provider, model) => Ok(vec![route(provider, model)]),
        Name::Bare(model) => {
            let all = snapshot.providers().map(|provider| route(provider, model));
            // Nobody can say that a provider has a model that neither it nor the source knows of.
            let known = all.filter(|route| route.grant.is_some() || route.is_offered(snapshot));
            bare_routes(snapshot, known, model)
        }
    }
}

/// Of the routes of a bare name those to providers that are known to offer it, or all when none is.
fn bare_routes<'a>(
    snapshot: &Snapshot,
    routes: impl Iterator<Item = Route<'a>>,
    model: &str,
) -> Result<Vec<Route<'a>>, Refusal> {
    let (offered, unknown): (Vec<_>, Vec<_>) = routes.partition(|route| route.is_offered(snapshot));
    order_by_weight(if offered.is_empty() { unknown } else { offered }, model)
}

impl<'a> Route<'a> {
    const fn new(
        provider: &'a Arc<Provider>,
        grant: Option<&'a ProviderGrant>,
        model: &'a str,
    ) -> Self {
        Self {
            provider,
            grant,
            model,
            shadowed: None,
        }
    }

    /// Whether the provider is known to offer the model: by the grant's list, its credentials or the catalog.
    fn is_offered(&self, snapshot: &Snapshot) -> bool {
        self.grant
            .is_some_and(|grant| grant.allowed.names(&self.provider.name, self.model))
            || offers(snapshot, self.provider, self.model)
    }

    fn weight(&self) -> f64 {
        self.grant
            .and_then(|grant| grant.weight)
            .unwrap_or(f64::NEG_INFINITY)
    }
}

/// Largest weight first. Two providers at the top that nothing orders make the name ambiguous.
fn order_by_weight<'a>(mut routes: Vec<Route<'a>>, model: &str) -> Result<Vec<Route<'a>>, Refusal> {
    routes.sort_by(|a, b| b.weight().total_cmp(&a.weight()));
    if let [first, second, ..] = &routes[..]
        && first.weight().total_cmp(&second.weight()) == Ordering::Equal
    {
        let names: Vec<_> = routes
            .iter()
            .map(|route| format!("`{}/{model}`", route.provider.name))
            .collect();
        return Err(Refusal::new(
            ErrorKind::ModelAmbiguous,
            format!(
                "the model name `{model}` is offered by several providers; use one of {}",
                names.join(", ")
            ),
        ));
    }
    Ok(routes)
}

fn why_no_route(snapshot: &Snapshot, source: &Source<'_>, name: &str) -> Refusal {
    match resolve_name(snapshot, name) {
        Name::Qualified(provider, _) if source.grant(provider).is_none() => Refusal::new(
            ErrorKind::ProviderBlocked,
            format!(
                "`{}` does not grant the provider `{}`",
                source.name, provider.name
            ),
        ),
        Name::Qualified(provider, model) => Refusal::new(
            ErrorKind::ModelBlocked,
            format!(
                "`{}` does not grant the model `{model}` of `{}`",
                source.name, provider.name
            ),
        ),
        Name::Bare(model) => Refusal::new(
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
