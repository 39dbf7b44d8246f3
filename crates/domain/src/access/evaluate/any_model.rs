//! Whether anything may be asked of a provider, and under which limits: what does not depend on the model.

use std::sync::Arc;

use super::caller::{Caller, Source};
use super::credentials::credentials;
use super::findings::{Findings, Judged};
use super::needs::{Amounts, Target, needs};
use crate::access::plan::{Outcome, Passage, Refusal};
use crate::access::request::AnyModelRequest;
use crate::error::ErrorKind;
use crate::money::Usd;
use crate::provider::Provider;
use crate::snapshot::Snapshot;

/// What `source` says of each provider that the request may go to.
pub(super) fn judge(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    source: &Source<'_>,
    request: &AnyModelRequest<'_>,
    findings: &mut Findings<Passage>,
) {
    let providers = match providers(snapshot, source, request.provider) {
        Ok(providers) => providers,
        Err(why) => {
            findings.add(|outcome| source.considered(None, outcome), Err(why));
            return;
        }
    };
    for provider in providers {
        findings.add(
            |outcome: Outcome| source.considered(Some(provider), outcome),
            judge_provider(snapshot, caller, source, provider, request.tokens),
        );
    }
}

/// The provider that is named; else those that the source grants, largest weight first.
fn providers<'a>(
    snapshot: &'a Snapshot,
    source: &Source<'_>,
    name: Option<&str>,
) -> Result<Vec<&'a Arc<Provider>>, Refusal> {
    let blocked = |message| Refusal::new(ErrorKind::ProviderBlocked, message);
    if let Some(name) = name {
        let provider = snapshot.provider(name);
        let unknown = || blocked(format!("there is no provider `{name}`"));
        return provider.map(|provider| vec![provider]).ok_or_else(unknown);
    }
    let mut granted: Vec<_> = source
        .grants
        .iter()
        .filter_map(|grant| Some((grant, snapshot.provider(grant.provider.as_str())?)))
        .collect();
    granted.sort_by(|(a, _), (b, _)| {
        let weight = |weight: Option<f64>| weight.unwrap_or(f64::NEG_INFINITY);
        weight(b.weight).total_cmp(&weight(a.weight))
    });
    let mut providers: Vec<_> = granted.into_iter().map(|(_, provider)| provider).collect();
    if providers.is_empty() && source.settings.shadow {
        providers.extend(snapshot.providers());
    }
    if providers.is_empty() {
        return Err(blocked(format!(
            "`{}` grants no provider that exists",
            source.name
        )));
    }
    Ok(providers)
}

fn judge_provider(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    source: &Source<'_>,
    provider: &Arc<Provider>,
    tokens: u64,
) -> Result<Judged<Passage>, Refusal> {
    let by_cap = caller.check_caps(provider, None)?;
    let grant = source.grant(provider);
    let mut by_source = None;
    if grant.is_none_or(|grant| !grant.opens()) {
        source.refuse(why_closed(source, provider), &mut by_source)?;
    }
    let keys = credentials(caller, source, provider, grant, None, &mut by_source)?;
    let target = Target {
        provider,
        grant,
        model: None,
    };
    let amounts = Amounts {
        cost: Usd::ZERO,
        tokens,
    };
    Ok(Judged::new(by_source, by_cap, |shadowed| Passage {
        payer: source.payer.clone(),
        provider: Some(provider.clone()),
        keys,
        cost: None,
        needs: needs(snapshot, caller, source, Some(target), amounts),
        shadowed,
    }))
}

fn why_closed(source: &Source<'_>, provider: &Provider) -> Refusal {
    let (source_name, name) = (source.name, &provider.name);
    if source.grant(provider).is_none() {
        let message = format!("`{source_name}` does not grant the provider `{name}`");
        Refusal::new(ErrorKind::ProviderBlocked, message)
    } else {
        let message = format!("`{source_name}` grants no model of `{name}`");
        Refusal::new(ErrorKind::ModelBlocked, message)
    }
}
