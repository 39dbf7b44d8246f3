//! Every limit that has to hold, derived from the scope tree here and nowhere else.

use std::sync::Arc;

use super::caller::{Caller, Source};
use crate::access::grant::ProviderGrant;
use crate::access::plan::Need;
use crate::access::settings::Settings;
use crate::limits::{Meter, MeterKind};
use crate::money::Usd;
use crate::provider::Provider;
use crate::snapshot::{ModelLimit, Snapshot};

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) provider: &'a Provider,
    /// What the source says of the provider.
    pub(super) grant: Option<&'a ProviderGrant>,
    /// `None` = whatever model: then only limits that hold for every model are among the needs.
    pub(super) model: Option<&'a str>,
}

/// What a request takes of each limit, besides being one request.
#[derive(Clone, Copy)]
pub(super) struct Amounts {
    pub(super) cost: Usd,
    pub(super) tokens: u64,
}

impl Amounts {
    fn of(self, kind: MeterKind) -> i64 {
        match kind {
            MeterKind::Money => self.cost.nanos(),
            MeterKind::Tokens => i64::try_from(self.tokens).unwrap_or(i64::MAX),
            MeterKind::Requests | MeterKind::Parallel => 1,
        }
    }
}

/// The limits that a request of `caller` has to meet when `source` pays for it, at every level. Without a target it goes
/// to no provider.
pub(super) fn needs(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    source: &Source<'_>,
    target: Option<Target<'_>>,
    amounts: Amounts,
) -> Vec<Need> {
    let provider = target.map(|target| target.provider);
    let model = target.and_then(|target| target.model);
    let grant = target.and_then(|target| target.grant);
    let need = |meter: &Arc<Meter>, settings: Settings| Need {
        meter: meter.clone(),
        amount: amounts.of(meter.id.kind),
        is_enforced: !settings.shadow,
    };
    let own = meters_of(grant, model)
        .chain(source.meters)
        .map(|meter| need(meter, source.settings));
    // When the key pays by itself, its own grant is the payer's grant already.
    let key_grant = provider
        .and_then(|provider| caller.key_grant(provider))
        .filter(|own| grant.is_none_or(|grant| !std::ptr::eq(*own, grant)));
    let of_key = meters_of(key_grant, model).chain(&caller.key.meters);
    let capping = caller.caps.iter().flat_map(|copy| {
        let grant = provider.and_then(|provider| copy.grant(&provider.name));
        copy.meters
            .iter()
            .chain(meters_of(grant, model))
            .map(|meter| need(meter, copy.settings))
    });
    let of_models = snapshot
        .model_limits()
        .iter()
        .filter(|limit| target.is_some_and(|target| holds(limit, target, caller)))
        .flat_map(|limit| &limit.meters);
    let above = caller
        .groups
        .iter()
        .flat_map(|group| &group.meters)
        .chain(of_models)
        .chain(provider.into_iter().flat_map(|provider| &provider.meters));
    let enforced = |meter| need(meter, Settings::default());
    let mut needs: Vec<Need> = own
        .chain(of_key.map(enforced))
        .chain(capping)
        .chain(above.map(enforced))
        .collect();
    // Rates before budgets, and the nearest level first: the order in which a refusal names them.
    needs.sort_by_key(|need| need.meter.id.kind == MeterKind::Money);
    needs
}

/// What a grant says of its provider's money and rates, for this model.
pub(super) fn meters_of<'a>(
    grant: Option<&'a ProviderGrant>,
    model: Option<&'a str>,
) -> impl Iterator<Item = &'a Arc<Meter>> {
    grant
        .into_iter()
        .flat_map(move |grant| grant.meters_for(model))
}

/// Whether a limit on models is one for this request.
fn holds(limit: &ModelLimit, target: Target<'_>, caller: &Caller<'_>) -> bool {
    let provider = &target.provider.name;
    limit.models.holds(provider, target.model)
        && limit.provider.as_ref().is_none_or(|name| name == provider)
        && limit.key.is_none_or(|id| id == caller.key.id)
        && limit
            .user
            .is_none_or(|id| caller.user.is_some_and(|user| user.id == id))
}
