//! The one function that decides.
//!
//! The rule, in six sentences:
//! - A key speaks for its holder.
//! - Grants unite: what any live copy allows is allowed.
//! - Denials win inside their copy; a restricting group profile caps every other grant; a key's own grants cap it when
//!   its holder has a copy, and are its grant when it has none.
//! - One copy pays: the first, by priority and then by assignment, that has room in all of its own limits.
//! - Every level above must pass as well.
//! - A copy in shadow mode refuses nothing by its own rules: what it would have refused it pays for after everything that
//!   is really allowed, and the refusal is noted.

mod caller;
mod judge;
mod routes;

use super::estimate::Learned;
use super::plan::{Considered, Outcome, Plan, Refusal};
use super::request::ModelRequest;
use crate::error::{ErrorKind, GatewayError};
use crate::snapshot::{Snapshot, VirtualKey};
use crate::time::Timestamp;
use caller::Caller;
use judge::{Judge, Judged};
use routes::routes_or_why;

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
    // What copies in shadow mode would have refused: nothing that is really allowed may go to them instead.
    let mut fallbacks = Vec::new();
    for source in &caller.sources {
        let routes = match routes_or_why(snapshot, source, request.model) {
            Ok(routes) => routes,
            Err(why) => {
                considered.push(source.considered(None, Outcome::Refuses(why)));
                continue;
            }
        };
        for route in routes {
            let provider = route.provider;
            let judge = Judge {
                snapshot,
                caller: &caller,
                source,
                route: &route,
                request,
                learned,
            };
            let applies = || source.considered(Some(provider), Outcome::Applies);
            match judge.judge() {
                Ok(Judged::Allowed(candidate)) => {
                    considered.push(applies());
                    candidates.push(candidate);
                }
                Ok(Judged::Shadowed(candidate)) => fallbacks.push((applies(), candidate)),
                Err(why) => {
                    considered.push(source.considered(Some(provider), Outcome::Refuses(why)));
                }
            }
        }
    }
    for (applies, candidate) in fallbacks {
        considered.push(applies);
        candidates.push(candidate);
    }
    let refusal = candidates.is_empty().then(|| furthest_refusal(&considered));
    for (source, why) in caller.ended {
        let why = Refusal::new(ErrorKind::AccessBlocked, why);
        considered.push(source.considered(None, Outcome::Refuses(why)));
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
    let mut best: Option<&Refusal> = None;
    for entry in considered {
        if let Outcome::Refuses(refusal) = &entry.outcome
            && best.is_none_or(|kept| rank(refusal.kind) > rank(kept.kind))
        {
            best = Some(refusal);
        }
    }
    let (kind, message) = best.map_or(
        (
            ErrorKind::ProviderBlocked,
            "no provider is granted to this key",
        ),
        |refusal| (refusal.kind, refusal.message.as_str()),
    );
    GatewayError::new(kind, message).with_param("model")
}
