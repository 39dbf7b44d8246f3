//! Whether one route of one source may serve the request, at what estimate, under which limits.

use std::sync::Arc;

use super::caller::{Caller, Source};
use super::routes::Route;
use crate::access::estimate::{Estimate, Learned};
use crate::access::grant::ProviderGrant;
use crate::access::plan::{Candidate, Need, Refusal};
use crate::access::request::ModelRequest;
use crate::access::settings::{OnUnknownPrice, Reservation, Settings};
use crate::error::ErrorKind;
use crate::limits::{Meter, MeterKind};
use crate::provider::{Provider, ProviderKey};
use crate::snapshot::Snapshot;

/// Judges one route of one source.
pub(super) struct Judge<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) caller: &'a Caller<'a>,
    pub(super) source: &'a Source<'a>,
    pub(super) route: &'a Route<'a>,
    pub(super) request: &'a ModelRequest<'a>,
    pub(super) learned: &'a dyn Learned,
}

/// A route that may serve the request.
pub(super) enum Judged {
    /// The source allows it.
    Allowed(Candidate),
    /// The source would refuse it, were it not in shadow mode.
    Shadowed(Candidate),
}

impl Judge<'_> {
    pub(super) fn judge(&self) -> Result<Judged, Refusal> {
        let Route {
            provider,
            grant,
            model,
            ..
        } = *self.route;
        let by_cap = self.check_caps(provider, model)?;
        let mut by_source = self.route.shadowed.clone();
        let mut keys = self.keys(provider, grant, model, &mut by_source)?;
        // A candidate is one model at one price: credentials that rename it otherwise are left out.
        let best = keys.first().cloned();
        let upstream_model = best.as_ref().map_or(model, |key| key.resolve_alias(model));
        keys.retain(|key| key.resolve_alias(model) == upstream_model);
        let info = self.snapshot.catalog().find(provider, upstream_model);
        let is_priced = info.as_ref().is_some_and(|info| info.price.is_some());
        if !is_priced && self.source.settings.on_unknown_price == OnUnknownPrice::Deny {
            let message = format!(
                "no price is known for the model `{model}` of `{}`; ask an administrator to set one, or to allow unknown prices",
                provider.name
            );
            self.refuse(
                Refusal::new(ErrorKind::PriceUnknown, message),
                &mut by_source,
            )?;
        }
        let reservation = self.reservation(&mut by_source)?;
        let learned = self.learned.model(provider.name.as_str(), upstream_model);
        let estimate = Estimate::new(reservation, self.request, info.as_deref(), learned);
        let is_allowed = by_source.is_none();
        let candidate = Candidate {
            payer: self.source.payer.clone(),
            provider: provider.clone(),
            model: model.into(),
            keys,
            info,
            settings: Settings {
                reservation,
                ..self.source.settings
            },
            needs: self.needs(provider, grant, model, &estimate),
            estimate,
            shadowed: by_source.or(by_cap).map(Box::new),
        };
        Ok(if is_allowed {
            Judged::Allowed(candidate)
        } else {
            Judged::Shadowed(candidate)
        })
    }

    /// A refusal by a rule of the source itself: final, or only noted in shadow mode. The first one stays.
    fn refuse(&self, refusal: Refusal, shadowed: &mut Option<Refusal>) -> Result<(), Refusal> {
        if self.source.settings.shadow {
            shadowed.get_or_insert(refusal);
            Ok(())
        } else {
            Err(refusal)
        }
    }

    /// The credentials that the source and the key allow; in shadow mode what the key allows, when the source allows
    /// none of them.
    fn keys(
        &self,
        provider: &Provider,
        grant: Option<&ProviderGrant>,
        model: &str,
        shadowed: &mut Option<Refusal>,
    ) -> Result<Vec<Arc<ProviderKey>>, Refusal> {
        let caller_grant = self.caller_grant(provider);
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
        let refusal = Refusal::new(
            ErrorKind::ProviderBlocked,
            format!(
                "no enabled key of the provider `{}` may be used for the model `{model}`",
                provider.name
            ),
        );
        let others = usable(None);
        if others.is_empty() {
            return Err(refusal);
        }
        self.refuse(refusal, shadowed)?;
        Ok(others)
    }

    /// What the key's own list says of this provider, when it caps.
    fn caller_grant(&self, provider: &Provider) -> Option<&ProviderGrant> {
        let key = self.caller.key;
        if self.caller.is_capped_by_key {
            key.grants
                .iter()
                .find(|grant| grant.provider == provider.name)
        } else {
            None
        }
    }

    /// What a cap in shadow mode would have refused; caps that are not refuse.
    fn check_caps(&self, provider: &Provider, model: &str) -> Result<Option<Refusal>, Refusal> {
        if self.caller.is_capped_by_key {
            let grant = self.caller_grant(provider);
            let allowed = grant.map(|grant| grant.allows(model));
            cap(
                allowed,
                || format!("the virtual key `{}`", self.caller.key.name),
                provider,
                model,
            )?;
        }
        let mut shadowed = None;
        for copy in &self.caller.caps {
            let allowed = copy.grant(&provider.name).map(|grant| grant.allows(model));
            let verdict = cap(
                allowed,
                || format!("the group profile `{}`", copy.name),
                provider,
                model,
            );
            match verdict {
                Err(refusal) if copy.settings.shadow => {
                    shadowed.get_or_insert(refusal);
                }
                verdict => verdict?,
            }
        }
        Ok(shadowed)
    }

    /// The payer's mode, or `bound` when a level above asks for exactness. What cannot be bounded is estimated when only
    /// a payer in shadow mode minds.
    fn reservation(&self, shadowed: &mut Option<Refusal>) -> Result<Reservation, Refusal> {
        let is_bound_above = self.is_bound_above();
        let own = self.source.settings.reservation;
        if own == Reservation::Estimate && !is_bound_above {
            return Ok(Reservation::Estimate);
        }
        let Some(what) = self.request.unbounded else {
            return Ok(Reservation::Bound);
        };
        let refusal = Refusal::new(
            ErrorKind::InvalidRequest,
            format!("the cost of this request cannot be bounded: {what}"),
        );
        if is_bound_above {
            return Err(refusal);
        }
        self.refuse(refusal, shadowed)?;
        Ok(Reservation::Estimate)
    }

    /// Whether the key or a group has a budget of its own that must not be passed.
    fn is_bound_above(&self) -> bool {
        let (key, groups) = (self.caller.key, &self.caller.groups);
        let of_groups = groups.iter().map(|group| (&group.meters, group.settings));
        std::iter::once((&key.meters, key.settings))
            .chain(of_groups)
            .filter(|(_, settings)| settings.reservation == Reservation::Bound)
            .any(|(meters, _)| meters.iter().any(|meter| meter.id.kind == MeterKind::Money))
    }

    /// Every limit that has to hold, derived from the scope tree here and nowhere else.
    fn needs(
        &self,
        provider: &Arc<Provider>,
        grant: Option<&ProviderGrant>,
        model: &str,
        estimate: &Estimate,
    ) -> Vec<Need> {
        let caller = self.caller;
        let key_grant = caller
            .key
            .grants
            .iter()
            .find(|own| own.provider == provider.name);
        // When the key pays by itself, its own grant is the payer's grant already.
        let key_grant =
            key_grant.filter(|own| grant.is_none_or(|grant| !std::ptr::eq(*own, grant)));
        let model_limits = self.snapshot.model_limits().iter().filter(|limit| {
            limit.models.contains(&provider.name, model)
                && limit
                    .provider
                    .as_ref()
                    .is_none_or(|name| *name == provider.name)
                && limit.key.is_none_or(|id| id == caller.key.id)
                && limit
                    .user
                    .is_none_or(|id| caller.user.is_some_and(|user| user.id == id))
        });
        let is_enforced = |settings: Settings| !settings.shadow;
        let capping = caller.caps.iter().flat_map(|copy| {
            copy.meters
                .iter()
                .chain(
                    copy.grant(&provider.name)
                        .into_iter()
                        .flat_map(|grant| grant.meters_for(model)),
                )
                .map(move |meter| need(meter, estimate, is_enforced(copy.settings)))
        });
        let own = grant
            .into_iter()
            .flat_map(|grant| grant.meters_for(model))
            .chain(self.source.meters)
            .map(|meter| need(meter, estimate, is_enforced(self.source.settings)));
        let enforced = |meter| need(meter, estimate, true);
        let of_key = key_grant
            .into_iter()
            .flat_map(|grant| grant.meters_for(model))
            .chain(&caller.key.meters)
            .map(enforced);
        let above = caller
            .groups
            .iter()
            .flat_map(|group| &group.meters)
            .chain(model_limits.flat_map(|limit| &limit.meters))
            .chain(&provider.meters)
            .map(enforced);
        let mut needs: Vec<Need> = own.chain(of_key).chain(capping).chain(above).collect();
        // Rates before budgets, and the nearest level first: the order in which a refusal names them.
        needs.sort_by_key(|need| need.meter.id.kind == MeterKind::Money);
        needs
    }
}

fn need(meter: &Arc<Meter>, estimate: &Estimate, is_enforced: bool) -> Need {
    let amount = match meter.id.kind {
        MeterKind::Money => estimate.cost.nanos(),
        MeterKind::Tokens => i64::try_from(estimate.total_tokens()).unwrap_or(i64::MAX),
        MeterKind::Requests | MeterKind::Parallel => 1,
    };
    Need {
        meter: meter.clone(),
        amount,
        is_enforced,
    }
}

/// `allowed`: `None` when the cap does not name the provider at all.
fn cap(
    allowed: Option<bool>,
    what: impl FnOnce() -> String,
    provider: &Provider,
    model: &str,
) -> Result<(), Refusal> {
    match allowed {
        Some(true) => Ok(()),
        Some(false) => Err(Refusal::new(
            ErrorKind::ModelBlocked,
            format!(
                "{} does not allow the model `{model}` of `{}`",
                what(),
                provider.name
            ),
        )),
        None => Err(Refusal::new(
            ErrorKind::ProviderBlocked,
            format!("{} does not allow the provider `{}`", what(), provider.name),
        )),
    }
}
