//! The one function that decides.
//!
//! The rule, in five sentences:
//! - A key speaks for its holder.
//! - Grants unite: what any live copy allows is allowed.
//! - Denials win inside their copy; a restricting group profile caps every other grant; a key's own grants cap it when
//!   its holder has a copy, and are its grant when it has none.
//! - One copy pays: the first, by priority and then by assignment, that has room in all of its own limits.
//! - Every level above must pass as well.

use std::cmp::Ordering;
use std::sync::Arc;

use super::estimate::{Estimate, Learned};
use super::grant::{Copy, ProviderGrant, Settings};
use super::plan::{Candidate, Considered, Need, Outcome, Payer, Plan};
use super::profile::{OnUnknownPrice, Reservation};
use super::request::ModelRequest;
use super::resolve::{Name, offers, resolve_name};
use crate::error::{ErrorKind, GatewayError};
use crate::limits::{Meter, MeterKind};
use crate::provider::Provider;
use crate::snapshot::{Group, GroupProfileMode, KeyHolder, Snapshot, User, VirtualKey};
use crate::time::Timestamp;

/// Decides what may serve `request` for the holder of `key`, and who pays, as of `now`.
///
/// Total and deterministic: the same snapshot, key, request, experience and instant give the same plan.
pub fn evaluate(
    snapshot: &Snapshot,
    key: &VirtualKey,
    request: &ModelRequest<'_>,
    learned: &dyn Learned,
    now: Timestamp,
) -> Plan {
    let caller = match Caller::of(snapshot, key, now) {
        Ok(caller) => caller,
        Err(refusal) => return Plan::refused(*refusal),
    };
    let mut considered = Vec::new();
    let mut candidates = Vec::new();
    for source in &caller.sources {
        let routes = match routes(snapshot, source, request.model) {
            Ok(routes) => routes,
            Err(ambiguous) => {
                let message = ambiguous.message.clone();
                considered.push(source.considered(None, Outcome::Refuses(ambiguous.kind, message)));
                continue;
            }
        };
        if routes.is_empty() {
            let (kind, message) = why_no_route(snapshot, source, request.model);
            considered.push(source.considered(None, Outcome::Refuses(kind, message)));
        }
        for route in routes {
            let judge = Judge {
                snapshot,
                caller: &caller,
                source,
                route: &route,
                request,
                learned,
            };
            match judge.candidate() {
                Ok(candidate) => {
                    considered.push(source.considered(Some(route.provider), Outcome::Applies));
                    candidates.push(candidate);
                }
                Err((kind, message)) => {
                    considered.push(
                        source.considered(Some(route.provider), Outcome::Refuses(kind, message)),
                    );
                }
            }
        }
    }
    let refusal = candidates.is_empty().then(|| furthest_refusal(&considered));
    Plan {
        candidates,
        considered,
        refusal,
    }
}

/// A copy, or the key itself, as something that may pay.
struct Source<'a> {
    payer: Payer,
    name: &'a str,
    grants: &'a [ProviderGrant],
    meters: &'a [Arc<Meter>],
    settings: Settings,
}

/// The caller with everything that the snapshot knows about it.
struct Caller<'a> {
    key: &'a VirtualKey,
    user: Option<&'a Arc<User>>,
    groups: Vec<&'a Arc<Group>>,
    sources: Vec<Source<'a>>,
    /// Copies that cap every grant: profiles of groups in mode `restrict`.
    caps: Vec<&'a Arc<Copy>>,
    /// Whether the key's own grants cap, rather than grant.
    is_capped_by_key: bool,
}

/// One provider and model that a source allows.
struct Route<'a> {
    provider: &'a Arc<Provider>,
    grant: &'a ProviderGrant,
    model: &'a str,
}

impl<'a> Source<'a> {
    fn of_copy(copy: &'a Arc<Copy>) -> Self {
        Self {
            payer: Payer::Copy(copy.clone()),
            name: &copy.name,
            grants: &copy.grants,
            meters: &copy.meters,
            settings: copy.settings,
        }
    }

    fn considered(&self, provider: Option<&Arc<Provider>>, outcome: Outcome) -> Considered {
        Considered {
            payer: self.payer.clone(),
            provider: provider.cloned(),
            outcome,
        }
    }
}

impl<'a> Caller<'a> {
    fn of(
        snapshot: &'a Snapshot,
        key: &'a VirtualKey,
        now: Timestamp,
    ) -> Result<Self, Box<GatewayError>> {
        let blocked =
            |message: String| Box::new(GatewayError::new(ErrorKind::AccessBlocked, message));
        if !key.is_active {
            return Err(blocked(format!(
                "the virtual key `{}` is inactive",
                key.name
            )));
        }
        if let Some(at) = key.expires_at.filter(|at| *at <= now) {
            return Err(blocked(format!(
                "the virtual key `{}` expired at {at}",
                key.name
            )));
        }
        let (user, own_groups) = match key.holder {
            KeyHolder::User(id) => match snapshot.user(id) {
                Some(user) if user.is_active => (Some(user), user.groups.clone()),
                Some(user) => return Err(blocked(format!("the user `{}` is inactive", user.name))),
                None => {
                    return Err(blocked(
                        "the holder of this key no longer exists".to_owned(),
                    ));
                }
            },
            KeyHolder::Group(id) => match snapshot.group(id) {
                Some(_) => (None, vec![id]),
                None => {
                    return Err(blocked(
                        "the holder of this key no longer exists".to_owned(),
                    ));
                }
            },
            KeyHolder::Itself => (None, Vec::new()),
        };
        let groups = with_parents(snapshot, own_groups);
        let profiles = || groups.iter().filter_map(|group| group.profile.as_ref());
        let own_copies = user.map_or(&[][..], |user| &user.copies);
        let shared = profiles()
            .filter(|profile| profile.mode == GroupProfileMode::Unite)
            .map(|profile| &profile.copy);
        let copies: Vec<_> = own_copies.iter().chain(shared).collect();
        let caps = profiles()
            .filter(|profile| profile.mode == GroupProfileMode::Restrict)
            .map(|profile| &profile.copy)
            .collect();
        let sources: Vec<_> = if copies.is_empty() {
            vec![Source {
                payer: Payer::Key(key.id),
                name: &key.name,
                grants: &key.grants,
                meters: &[],
                settings: key.settings,
            }]
        } else {
            copies
                .iter()
                .filter(|copy| copy.is_live(now))
                .map(|copy| Source::of_copy(copy))
                .collect()
        };
        if sources.is_empty() {
            return Err(blocked(
                "every access profile of this key's holder is inactive or expired".to_owned(),
            ));
        }
        Ok(Self {
            key,
            user,
            groups,
            sources,
            caps,
            is_capped_by_key: !copies.is_empty() && !key.grants.is_empty(),
        })
    }
}

/// The groups and everything above them, each once, nearest first.
fn with_parents(snapshot: &Snapshot, own: Vec<crate::snapshot::GroupId>) -> Vec<&Arc<Group>> {
    let mut groups: Vec<&Arc<Group>> = Vec::new();
    let mut waiting = std::collections::VecDeque::from(own);
    while let Some(id) = waiting.pop_front() {
        if groups.iter().any(|group| group.id == id) {
            continue;
        }
        if let Some(group) = snapshot.group(id) {
            waiting.extend(group.parents.iter().copied());
            groups.push(group);
        }
    }
    groups
}

/// What `name` may mean to this source, best first.
fn routes<'a>(
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

fn why_no_route(snapshot: &Snapshot, source: &Source<'_>, name: &str) -> (ErrorKind, String) {
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

/// Judges one route of one source.
struct Judge<'a> {
    snapshot: &'a Snapshot,
    caller: &'a Caller<'a>,
    source: &'a Source<'a>,
    route: &'a Route<'a>,
    request: &'a ModelRequest<'a>,
    learned: &'a dyn Learned,
}

impl Judge<'_> {
    fn candidate(&self) -> Result<Candidate, (ErrorKind, String)> {
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
        let keys: Vec<_> = provider
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
        let upstream_model = keys.first().map_or(model, |key| key.resolve_alias(model));
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

/// The refusal of the source that came closest: provider, then model, then price.
fn furthest_refusal(considered: &[Considered]) -> GatewayError {
    let rank = |kind: ErrorKind| match kind {
        ErrorKind::ProviderBlocked => 0,
        ErrorKind::ModelBlocked => 1,
        _ => 2,
    };
    let mut best: Option<(ErrorKind, &str)> = None;
    for entry in considered {
        if let Outcome::Refuses(kind, message) = &entry.outcome
            && best.is_none_or(|(kept, _)| rank(*kind) > rank(kept))
        {
            best = Some((*kind, message));
        }
    }
    let (kind, message) = best.unwrap_or((
        ErrorKind::ProviderBlocked,
        "no provider is granted to this key",
    ));
    GatewayError::new(kind, message).with_param("model")
}
