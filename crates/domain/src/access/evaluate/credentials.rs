//! Which of a provider's credentials may be used.

use std::sync::Arc;

use super::caller::{Caller, Source};
use crate::access::grant::ProviderGrant;
use crate::access::plan::Refusal;
use crate::error::ErrorKind;
use crate::provider::{Provider, ProviderKey};

/// The credentials that the source and the key allow, best first; in shadow mode what the key allows, when the source
/// allows none of them. `model`: `None` = whatever model.
pub(super) fn credentials(
    caller: &Caller<'_>,
    source: &Source<'_>,
    provider: &Provider,
    grant: Option<&ProviderGrant>,
    model: Option<&str>,
    shadowed: &mut Option<Refusal>,
) -> Result<Vec<Arc<ProviderKey>>, Refusal> {
    let caller_grant = caller.capping_grant(provider);
    let key_allows = |id| {
        caller_grant
            .and_then(|grant| grant.key_ids.as_deref())
            .is_none_or(|ids| ids.contains(&id))
    };
    let usable = |granted| -> Vec<_> {
        provider
            .keys_for(model, granted)
            .filter(|key| key_allows(key.id))
            .cloned()
            .collect()
    };
    let keys = usable(grant.and_then(|grant| grant.key_ids.as_deref()));
    if !keys.is_empty() || provider.is_keyless {
        return Ok(keys);
    }
    let name = &provider.name;
    let message = match model {
        Some(model) => {
            format!("no enabled key of the provider `{name}` may be used for the model `{model}`")
        }
        None => format!("no enabled key of the provider `{name}` may be used"),
    };
    let refusal = Refusal::new(ErrorKind::ProviderBlocked, message);
    let others = usable(None);
    if others.is_empty() {
        return Err(refusal);
    }
    source.refuse(refusal, shadowed)?;
    Ok(others)
}
