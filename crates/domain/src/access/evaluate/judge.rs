//! Whether one route of one source may serve a request for a model, at what estimate, under which limits.

use super::caller::{Caller, Source};
use super::credentials::credentials;
use super::findings::Judged;
use super::needs::{Amounts, Target, meters_of, needs};
use super::routes::Route;
use crate::access::estimate::{Estimate, Learned};
use crate::access::plan::{Candidate, Refusal};
use crate::access::request::ModelRequest;
use crate::access::settings::{OnUnknownPrice, Reservation, Settings};
use crate::catalog::ModelInfo;
use crate::error::ErrorKind;
use crate::limits::MeterKind;
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
    pub(super) fn judge(&self) -> Result<Judged<Candidate>, Refusal> {
        let Route {
            provider,
            grant,
            model,
            ..
        } = *self.route;
        let by_cap = self.caller.check_caps(provider, Some(model))?;
        let mut by_source = self.route.shadowed.clone();
        let mut keys = credentials(
            self.caller,
            self.source,
            provider,
            grant,
            Some(model),
            &mut by_source,
        )?;
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
            self.source.refuse(
                Refusal::new(ErrorKind::PriceUnknown, message),
                &mut by_source,
            )?;
        }
        let reservation = self.reservation(info.as_deref(), &mut by_source)?;
        let learned = self.learned.model(provider.name.as_str(), upstream_model);
        let defaults = self.learned.defaults();
        let estimate = Estimate::new(
            reservation,
            self.request,
            info.as_deref(),
            learned,
            defaults,
        );
        let target = Target {
            provider,
            grant,
            model: Some(model),
        };
        let amounts = Amounts {
            cost: estimate.cost,
            tokens: estimate.total_tokens(),
        };
        Ok(Judged::new(by_source, by_cap, |shadowed| Candidate {
            payer: self.source.payer.clone(),
            provider: provider.clone(),
            model: model.into(),
            keys,
            info,
            settings: Settings {
                reservation,
                ..self.source.settings
            },
            needs: needs(
                self.snapshot,
                self.caller,
                self.source,
                Some(target),
                amounts,
            ),
            estimate,
            shadowed,
        }))
    }

    /// The payer's mode, or `bound` when a level above asks for exactness. What cannot be bounded is estimated when only
    /// a payer in shadow mode minds.
    fn reservation(
        &self,
        model: Option<&ModelInfo>,
        shadowed: &mut Option<Refusal>,
    ) -> Result<Reservation, Refusal> {
        let is_bound_above = self.is_bound_above();
        let own = self.source.settings.reservation;
        if own == Reservation::Estimate && !is_bound_above {
            return Ok(Reservation::Estimate);
        }
        let Some(what) = self.unbounded(model) else {
            return Ok(Reservation::Bound);
        };
        let refusal = Refusal::new(
            ErrorKind::InvalidRequest,
            format!("the cost of this request cannot be bounded: {what}"),
        );
        if is_bound_above {
            return Err(refusal);
        }
        self.source.refuse(refusal, shadowed)?;
        Ok(Reservation::Estimate)
    }

    /// What in the request cannot be bounded for this model.
    fn unbounded(&self, model: Option<&ModelInfo>) -> Option<&str> {
        let has_context = || model.is_some_and(|model| model.context_window.is_some());
        let is_endless =
            self.request.has_media && self.request.input_tokens.is_none() && !has_context();
        self.request.unbounded.or_else(|| {
            is_endless.then_some(
                "it has images or audio, and the catalog knows no context size of the model",
            )
        })
    }

    /// Whether the key, a group or a profile that caps has a budget of its own for this request that must not be passed.
    fn is_bound_above(&self) -> bool {
        let Route {
            provider, model, ..
        } = *self.route;
        let Caller {
            key, groups, caps, ..
        } = self.caller;
        let of_key = (&key.meters, self.caller.key_grant(provider), key.settings);
        let of_groups = groups
            .iter()
            .map(|group| (&group.meters, None, group.settings));
        let of_caps = caps
            .iter()
            .filter(|copy| !copy.settings.shadow)
            .map(|copy| (&copy.meters, copy.grant(&provider.name), copy.settings));
        std::iter::once(of_key)
            .chain(of_groups)
            .chain(of_caps)
            .filter(|(.., settings)| settings.reservation == Reservation::Bound)
            .any(|(meters, grant, _)| {
                let mut all = meters.iter().chain(meters_of(grant, Some(model)));
                all.any(|meter| meter.id.kind == MeterKind::Money)
            })
    }
}
