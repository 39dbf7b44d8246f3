//! The one function that decides.
//!
//! The rule, in five sentences:
//! - A key speaks for its holder.
//! - Grants unite: what any live copy allows is allowed.
//! - Denials win inside their copy; a restricting group profile caps every other grant; a key's own grants cap it when
//!   its holder has a copy, and are its grant when it has none.
//! - One copy pays: the first, by priority and then by assignment, that has room in all of its own limits.
//! - Every level above must pass as well.

mod caller;
mod judge;
mod routes;

use super::estimate::Learned;
use super::plan::{Considered, Outcome, Plan};
use super::request::ModelRequest;
use crate::error::{ErrorKind, GatewayError};
use crate::snapshot::{Snapshot, VirtualKey};
use crate::time::Timestamp;
use caller::Caller;
use judge::Judge;
use routes::{routes, why_no_route};

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
    for (source, why) in caller.ended {
        considered.push(source.considered(None, Outcome::Refuses(ErrorKind::AccessBlocked, why)));
    }
    Plan {
        candidates,
        considered,
        refusal,
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
