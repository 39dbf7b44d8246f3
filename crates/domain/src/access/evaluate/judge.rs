//! Whether one route of one source may serve the request, at what estimate, under which limits.

use std::sync::Arc;

use super::caller::{Caller, Source};
use super::routes::Route;
use crate::access::estimate::{Estimate, Learned};
use crate::access::grant::ProviderGrant;
use crate::access::plan::{Candidate, Need};
use crate::access::request::ModelRequest;
use crate::access::settings::{OnUnknownPrice, Reservation, Settings};
use crate::error::ErrorKind;
use crate::limits::{Meter, MeterKind};
use crate::provider::Provider;
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

impl Judge<'_> {
    pub(super) fn candidate(&self) -> Result<Candidate, (ErrorKind, String)> {
        let Route {
            provider,
            grant,
            model,
        } = *self.route;
        self.check_caps(provider, model)?;
        let caller_grant = self.caller_grant(provider);
        let both_allow = |id| {
            caller_grant
                .and_then(|grant| grant.key_ids.as_deref())
                .is_none_or(|ids| ids.contains(&id))
        };
        let mut keys: Vec<_> = provider
            .keys_for(model, grant.key_ids.as_deref())
            .filter(|key| both_allow(key.id))
            .cloned()
            .collect();
        if keys.is_empty() && !provider.is_keyless {
            let message = format!(
                "no enabled key of the provider `{}` may be used for the model `{model}`",
                provider.name
            );
            return Err((ErrorKind::ProviderBlocked, message));
        }
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
            return Err((ErrorKind::PriceUnknown, message));
        }
        let reservation = self.reservation();
        if let (Reservation::Bound, Some(what)) = (reservation, self.request.unbounded) {
            let message = format!("the cost of this request cannot be bounded: {what}");
            return Err((ErrorKind::InvalidRequest, message));
        }
        let learned = self.learned.model(provider.name.as_str(), upstream_model);
        let estimate = Estimate::new(reservation, self.request, info.as_deref(), learned);
        Ok(Candidate {
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
        })
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

    fn check_caps(&self, provider: &Provider, model: &str) -> Result<(), (ErrorKind, String)> {
        if self.caller.is_capped_by_key {
            let grant = self.caller_grant(provider);
            let allowed = grant.map(|grant| grant.allows(model));
            cap(
                allowed,
                &format!("the virtual key `{}`", self.caller.key.name),
                provider,
                model,
            )?;
        }
        for copy in &self.caller.caps {
            let allowed = copy.grant(&provider.name).map(|grant| grant.allows(model));
            cap(
                allowed,
                &format!("the group profile `{}`", copy.name),
                provider,
                model,
            )?;
        }
        Ok(())
    }

    /// The payer's mode, or `bound` when a level above asks for exactness.
    fn reservation(&self) -> Reservation {
        let above = std::iter::once((&self.caller.key.meters, self.caller.key.settings))
            .chain(
                self.caller
                    .groups
                    .iter()
                    .map(|group| (&group.meters, group.settings)),
            )
            .filter(|(meters, _)| meters.iter().any(|meter| meter.id.kind == MeterKind::Money));
        if above
            .map(|(_, settings)| settings.reservation)
            .any(|mode| mode == Reservation::Bound)
        {
            Reservation::Bound
        } else {
            self.source.settings.reservation
        }
    }

    /// Every limit that has to hold, derived from the scope tree here and nowhere else.
    fn needs(
        &self,
        provider: &Arc<Provider>,
        grant: &ProviderGrant,
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
        let key_grant = key_grant.filter(|own| !std::ptr::eq(*own, grant));
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
        let capping = caller.caps.iter().flat_map(|copy| {
            copy.meters.iter().chain(
                copy.grant(&provider.name)
                    .into_iter()
                    .flat_map(|grant| grant.meters_for(model)),
            )
        });
        let is_enforced = !self.source.settings.shadow;
        let own = grant
            .meters_for(model)
            .chain(self.source.meters)
            .map(|meter| need(meter, estimate, is_enforced));
        let above = key_grant
            .into_iter()
            .flat_map(|grant| grant.meters_for(model))
            .chain(&caller.key.meters)
            .chain(capping)
            .chain(caller.groups.iter().flat_map(|group| &group.meters))
            .chain(model_limits.flat_map(|limit| &limit.meters))
            .chain(&provider.meters)
            .map(|meter| need(meter, estimate, true));
        let mut needs: Vec<Need> = own.chain(above).collect();
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
    what: &str,
    provider: &Provider,
    model: &str,
) -> Result<(), (ErrorKind, String)> {
    match allowed {
        Some(true) => Ok(()),
        Some(false) => Err((
            ErrorKind::ModelBlocked,
            format!(
                "{what} does not allow the model `{model}` of `{}`",
                provider.name
            ),
        )),
        None => Err((
            ErrorKind::ProviderBlocked,
            format!("{what} does not allow the provider `{}`", provider.name),
        )),
    }
}
