//! What came of each source, and the plan that it makes.

use super::caller::Source;
use crate::access::plan::{Considered, Outcome, Plan, Refusal};
use crate::error::{ErrorKind, GatewayError};

/// A way to serve the request.
pub(super) enum Judged<C> {
    /// The source allows it.
    Allowed(C),
    /// The source would refuse it, were it not in shadow mode.
    Shadowed(C),
}

impl<C> Judged<C> {
    /// The candidate that `make` makes with what was only noted: by the source itself, or by a cap in shadow mode.
    pub(super) fn new(
        by_source: Option<Refusal>,
        by_cap: Option<Refusal>,
        make: impl FnOnce(Option<Box<Refusal>>) -> C,
    ) -> Self {
        let is_allowed = by_source.is_none();
        let candidate = make(by_source.or(by_cap).map(Box::new));
        if is_allowed {
            Self::Allowed(candidate)
        } else {
            Self::Shadowed(candidate)
        }
    }
}

/// Everything that was looked at, source after source.
pub(super) struct Findings<C> {
    considered: Vec<Considered>,
    candidates: Vec<C>,
    /// What copies in shadow mode would have refused: nothing that is really allowed may go to them instead.
    fallbacks: Vec<(Considered, C)>,
}

impl<C> Findings<C> {
    pub(super) const fn new() -> Self {
        Self {
            considered: Vec::new(),
            candidates: Vec::new(),
            fallbacks: Vec::new(),
        }
    }

    /// Notes the verdict on what was looked at.
    pub(super) fn add(
        &mut self,
        considered: impl FnOnce(Outcome) -> Considered,
        verdict: Result<Judged<C>, Refusal>,
    ) {
        match verdict {
            Ok(Judged::Allowed(candidate)) => {
                self.considered.push(considered(Outcome::Applies));
                self.candidates.push(candidate);
            }
            Ok(Judged::Shadowed(candidate)) => {
                self.fallbacks
                    .push((considered(Outcome::Applies), candidate));
            }
            Err(why) => self.considered.push(considered(Outcome::Refuses(why))),
        }
    }

    /// The plan, in which copies that have `ended` stand last. `param` is the field of the request that a refusal is
    /// about.
    pub(super) fn into_plan(self, ended: Vec<(Source<'_>, String)>, param: &str) -> Plan<C> {
        let Self {
            mut considered,
            mut candidates,
            fallbacks,
        } = self;
        for (applies, candidate) in fallbacks {
            considered.push(applies);
            candidates.push(candidate);
        }
        let refusal = candidates
            .is_empty()
            .then(|| furthest_refusal(&considered, param));
        for (source, why) in ended {
            let why = Refusal::new(ErrorKind::AccessBlocked, why);
            considered.push(source.considered(None, Outcome::Refuses(why)));
        }
        Plan {
            candidates,
            considered,
            refusal,
        }
    }
}

/// The refusal of the source that came closest: provider, then model, then price.
fn furthest_refusal(considered: &[Considered], param: &str) -> GatewayError {
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
    GatewayError::new(kind, message).with_param(param)
}
