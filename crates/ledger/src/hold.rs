//! Holds: what a running request has reserved.

use tollgate_domain::Usd;
use tollgate_domain::access::Need;
use tollgate_domain::accounting::HoldFacts;
use tollgate_domain::error::LimitRefusal;
use tollgate_domain::ids::RequestId;
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::live::Count;

use crate::journal::Written;
use crate::meters::{Counts, HeldList};

/// What one running request holds. It ends in [`crate::Ledger::settle`] or [`crate::Ledger::release`]; the gate's drop
/// guard sees to that.
#[derive(Debug)]
#[must_use = "a hold that is dropped stays held until the next start"]
pub struct Hold {
    pub(crate) facts: HoldFacts,
    pub(crate) held: HeldList,
    pub(crate) counts: Counts,
    pub(crate) is_dispatched: bool,
    /// In the order of the needs.
    pub(crate) shadowed: Vec<ShadowedLimit>,
    /// Bytes of the journal that are set aside for its end.
    pub(crate) room: u32,
}

impl Hold {
    /// The request, which names the hold.
    pub const fn request(&self) -> RequestId {
        self.facts.request
    }

    /// Who asked for what, and who pays.
    pub const fn facts(&self) -> &HoldFacts {
        &self.facts
    }

    /// The counts right after admission, one for each need, in its order.
    pub fn counts(&self) -> &[Count] {
        &self.counts
    }

    /// The full limit with which a profile in shadow mode would have refused: the first one.
    pub fn shadowed(&self) -> Option<&LimitRefusal> {
        self.shadowed.first().map(|full| &full.refusal)
    }

    /// Whether the request was sent to a provider.
    pub const fn is_dispatched(&self) -> bool {
        self.is_dispatched
    }

    /// Says that the request is being sent: from now on it counts as one, whatever comes of it.
    pub const fn mark_dispatched(&mut self) {
        self.is_dispatched = true;
    }
}

/// A limit that is full and does not refuse.
#[derive(Debug)]
pub(crate) struct ShadowedLimit {
    pub(crate) limit: MeterId,
    pub(crate) refusal: LimitRefusal,
}

impl ShadowedLimit {
    /// Whether an exchange leaves it as it is: `need` goes on with the request or slot that did not fit.
    pub(crate) fn is_carried_by(&self, need: &Need) -> bool {
        let carries = matches!(self.limit.kind, MeterKind::Requests | MeterKind::Parallel);
        carries && !need.is_enforced && need.meter.id == self.limit
    }
}

/// What a settlement did.
#[derive(Debug)]
pub struct Settlement {
    /// What was charged.
    pub cost: Usd,
    /// The counts after it, one for each meter that was held, in the order of the needs.
    pub counts: Counts,
    /// Resolves when the client may see the end of its answer.
    pub written: Written,
}
