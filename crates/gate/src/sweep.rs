//! Ends holds that have outlived their requests.

use std::time::Duration;

use tollgate_domain::accounting::{Ending, Outcome};
use tollgate_domain::provider::Provider;
use tollgate_domain::{Timestamp, TokenUsage};
use tollgate_ledger::Hold;

use crate::facts::micros_between;
use crate::gate::Gate;

/// Holds that one round ends at most; the next round goes on.
const MOST_SWEPT: usize = 256;
/// How long a provider that takes no configuration of its own is given.
const DEFAULT_PATIENCE: Duration = Duration::from_mins(1);
/// The status of an answer that nobody can be waiting for.
const CLIENT_GONE: u16 = 499;
/// Why, in the request log and the list of what is in doubt.
const EXPIRED: &str = "expired";

/// How long `provider` may take to the first byte of an answer.
pub(crate) fn patience(provider: &Provider) -> Duration {
    let network = provider.network.as_deref();
    network.map_or(DEFAULT_PATIENCE, |network| network.request_timeout)
}

impl Gate {
    /// Charges holds in doubt whose requests are older than anything may take: their provider's time to an answer, and
    /// `rest` for everything after that. Returns how many.
    ///
    /// A request that ends later all the same is not charged again.
    pub fn sweep(&self, rest: Duration) -> usize {
        let now = self.clock.now();
        let mut swept = 0;
        for slot in self.running.outliving(rest, now, MOST_SWEPT) {
            if let Some(hold) = self.running.remove(&slot) {
                self.expire(hold, now);
                swept += 1;
            }
        }
        swept
    }

    fn expire(&self, hold: Hold, now: Timestamp) {
        let facts = hold.facts();
        tracing::warn!(
            request.id = %facts.request,
            provider = %facts.provider,
            model = facts.model,
            held.usd = %facts.reserved_cost,
            started = %facts.at,
            "a hold outlived its request and was charged in doubt"
        );
        let ending = Ending {
            at: now,
            outcome: Outcome::InDoubt,
            status: CLIENT_GONE,
            error_code: Some(EXPIRED.to_owned()),
            usage: TokenUsage::default(),
            cost: facts.reserved_cost,
            duration_micros: micros_between(facts.at, now),
            first_byte_micros: None,
            attempts: u32::from(hold.is_dispatched()),
        };
        self.metrics.swept();
        self.metrics.ended(&ending, &facts.provider);
        self.ledger.settle(hold, ending);
    }
}
