//! The models that a caller may use: `GET /v1/models` and `GET /v1/models/{id}`.

use bytes::Bytes;
use tollgate_domain::{ErrorKind, GatewayError, Timestamp};
use tollgate_gate::{Caller, Gate, ModelListing};
use tollgate_llm::reply::{ModelEntry, openai_model, openai_models};

/// All of them.
pub(crate) fn list(gate: &Gate, caller: &Caller) -> Result<Bytes, GatewayError> {
    let listed = gate.models(caller)?;
    let ids: Vec<String> = listed.iter().map(ModelListing::id).collect();
    let entries = listed.iter().zip(&ids);
    Ok(openai_models(
        entries.map(|(listing, id)| entry(listing, id)),
    ))
}

/// One of them, by the name under which it is listed, or without the provider where that is clear.
pub(crate) fn one(gate: &Gate, caller: &Caller, name: &str) -> Result<Bytes, GatewayError> {
    let listed = gate.models(caller)?;
    let is_named = |listing: &&ModelListing| {
        name.split_once('/').is_some_and(|(provider, model)| {
            provider.eq_ignore_ascii_case(listing.provider.as_str())
                && model.eq_ignore_ascii_case(&listing.model)
        })
    };
    let found = listed.iter().find(is_named).or_else(|| {
        let mut bare = listed
            .iter()
            .filter(|listing| listing.model.eq_ignore_ascii_case(name));
        // Two providers' models of one name are two models.
        bare.next().filter(|_| bare.next().is_none())
    });
    let Some(listing) = found else {
        let shown: String = name.chars().take(120).collect();
        return Err(GatewayError::new(
            ErrorKind::NotFound,
            format!("no model `{shown}` that this key may use; `GET /v1/models` lists what it may"),
        )
        .with_param("model"));
    };
    Ok(openai_model(entry(listing, &listing.id())))
}

fn entry<'a>(listing: &'a ModelListing, id: &'a str) -> ModelEntry<'a> {
    let info = listing.info.as_deref();
    ModelEntry {
        id,
        owned_by: listing.provider.as_str(),
        // Nobody knows when a provider began to offer a model; clients want a number.
        created: Timestamp::default(),
        context_window: info.and_then(|info| info.context_window),
        max_output_tokens: info.and_then(|info| info.max_output_tokens),
    }
}
