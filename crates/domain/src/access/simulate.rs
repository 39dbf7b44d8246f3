//! What a draft would have done: a replay of the request log against a profile that nobody holds yet.
//!
//! The replay starts with empty counters, and judges each request as if the draft were what its payer's copy says, by the
//! same steps as the ledger: what a request was admitted with is reserved from its admission to its end, and then
//! replaced by what it cost. It judges that copy alone: no other copy steps in, and no level above refuses.

mod counters;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use self::counters::{Counters, Ended};
use super::grant::{Copy, ProviderGrant};
use super::profile::OnUnknownPrice;
use crate::accounting::{LogEntry, Outcome};
use crate::error::{ErrorKind, LimitRefusal, MeterReading};
use crate::ids::{CopyId, RequestId, UserId};
use crate::limits::{Meter, MeterKind, Verdict};
use crate::money::Usd;
use crate::snapshot::Snapshot;
use crate::time::Timestamp;

/// Refusals that are listed one by one; beyond it they are only counted.
pub const MOST_LISTED: usize = 100;

/// One request that the draft would have refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedRefusal {
    /// The request.
    pub request: RequestId,
    /// Whose it was.
    pub user: Option<UserId>,
    /// When it was made.
    pub at: Timestamp,
    /// Why it would have been refused.
    pub kind: ErrorKind,
    /// The same in words, with the numbers of the limit as the replay had them.
    pub message: String,
}

/// What the draft would have done to one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SimulatedHolder {
    /// Requests in the log.
    pub requests: u64,
    /// Those that were served, and that the draft refuses.
    pub newly_refused: u64,
    /// Those that were refused, and that the draft allows.
    pub newly_allowed: u64,
    /// What the log says they cost.
    pub actual_cost: Usd,
    /// What they would have cost; a request that was refused counts with what it would have held.
    pub draft_cost: Usd,
}

/// What the draft would have done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulation {
    /// The first [`MOST_LISTED`] refusals of requests that were served, in the order of time.
    pub refusals: Vec<SimulatedRefusal>,
    /// How many there were in all, by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// By user; `None` stands for keys without one.
    pub holders: BTreeMap<Option<UserId>, SimulatedHolder>,
}

impl Simulation {
    /// What the draft would have done to all of them.
    pub fn total(&self) -> SimulatedHolder {
        let mut total = SimulatedHolder::default();
        for holder in self.holders.values() {
            total.requests += holder.requests;
            total.newly_refused += holder.newly_refused;
            total.newly_allowed += holder.newly_allowed;
            total.actual_cost = total.actual_cost.saturating_add(holder.actual_cost);
            total.draft_cost = total.draft_cost.saturating_add(holder.draft_cost);
        }
        total
    }
}

/// Replays requests, one by one in the order of their admission.
pub struct Simulator {
    snapshot: Arc<Snapshot>,
    copies: HashMap<CopyId, Copy>,
    counters: Counters,
    simulation: Simulation,
}

impl Simulator {
    /// A replay at the prices of `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            copies: HashMap::new(),
            counters: Counters::default(),
            simulation: Simulation::default(),
        }
    }

    /// Whether the draft of this copy is known.
    pub fn knows(&self, copy: CopyId) -> bool {
        self.copies.contains_key(&copy)
    }

    /// Adds what the draft would make of a holder's copy.
    pub fn put(&mut self, copy: Copy) {
        self.copies.insert(copy.id, copy);
    }

    /// Replays one request, whose payer is the copy `payer`. Of a copy that is not known nothing is said.
    pub fn replay(&mut self, payer: CopyId, entry: &LogEntry) {
        let Some(copy) = self.copies.get(&payer) else {
            return;
        };
        self.counters.settle_until(entry.facts.at);
        let was_served = entry.ending.outcome != Outcome::Refused;
        let verdict = judge(&self.snapshot, copy, entry, &self.counters);
        let user = entry.facts.user;
        let holder = self.simulation.holders.entry(user).or_default();
        holder.requests += 1;
        if was_served {
            holder.actual_cost = holder.actual_cost.saturating_add(entry.ending.cost);
        }
        match verdict {
            Ok(meters) => {
                let ended = Ended::of(entry);
                holder.draft_cost = holder.draft_cost.saturating_add(ended.cost);
                holder.newly_allowed += u64::from(!was_served);
                self.counters.admit(&meters, entry, ended);
            }
            Err((kind, message)) if was_served => {
                holder.newly_refused += 1;
                *self.simulation.reasons.entry(kind.code()).or_default() += 1;
                if self.simulation.refusals.len() < MOST_LISTED {
                    self.simulation.refusals.push(SimulatedRefusal {
                        request: entry.facts.request,
                        user,
                        at: entry.facts.at,
                        kind,
                        message,
                    });
                }
            }
            Err(_) => {}
        }
    }

    /// The outcome.
    pub fn finish(self) -> Simulation {
        self.simulation
    }
}

type Refusal = (ErrorKind, String);

/// The meters of a request that the draft allows, or why it does not.
fn judge(
    snapshot: &Snapshot,
    copy: &Copy,
    entry: &LogEntry,
    counters: &Counters,
) -> Result<Vec<Arc<Meter>>, Refusal> {
    let grant = grant(snapshot, copy, entry)?;
    let own = grant
        .meters_for(Some(&entry.facts.model))
        .chain(&copy.meters);
    let mut meters: Vec<_> = own.cloned().collect();
    // The order in which the data plane names them.
    meters.sort_by_key(|meter| meter.id.kind == MeterKind::Money);
    for meter in &meters {
        check(meter, entry, counters)?;
    }
    Ok(meters)
}

fn check(meter: &Meter, entry: &LogEntry, counters: &Counters) -> Result<(), Refusal> {
    let at = entry.facts.at;
    let (count, needed) = (counters.count(meter, at), counters::need(meter, entry));
    let Some(verdict) = Verdict::of(count, meter.effective_limit(at), needed) else {
        return Ok(());
    };
    let refusal = LimitRefusal {
        kind: meter.id.kind,
        reading: MeterReading::new(meter, at, count.used, count.reserved),
        needed,
        is_transient: verdict.is_transient(),
        largest_output_that_fits: None,
    };
    let kind = ErrorKind::limit_refusal(meter.id.kind, verdict.is_transient());
    Err((kind, refusal.to_string()))
}

/// What the draft grants of the provider, when it grants the request.
fn grant<'a>(
    snapshot: &Snapshot,
    copy: &'a Copy,
    entry: &LogEntry,
) -> Result<&'a ProviderGrant, Refusal> {
    let (name, model) = (&entry.facts.provider, entry.facts.model.as_str());
    let Some(grant) = copy.grant(name) else {
        let message = format!("the draft does not grant the provider `{name}`");
        return Err((ErrorKind::ProviderBlocked, message));
    };
    if !grant.allows(model) {
        let message = format!("the draft does not grant the model `{model}` of `{name}`");
        return Err((ErrorKind::ModelBlocked, message));
    }
    // Of a provider that is gone nothing more can be said.
    let Some(provider) = snapshot.provider(name.as_str()) else {
        return Ok(grant);
    };
    let key = provider
        .keys_for(Some(model), grant.key_ids.as_deref())
        .next();
    if key.is_none() && !provider.is_keyless {
        let message =
            format!("no key of the provider `{name}` that the draft grants takes `{model}`");
        return Err((ErrorKind::ProviderBlocked, message));
    }
    let upstream = key.map_or(model, |key| key.resolve_alias(model));
    let info = snapshot.catalog().find(provider, upstream);
    let is_priced = info.is_some_and(|info| info.price.is_some());
    if !is_priced && copy.settings.on_unknown_price == OnUnknownPrice::Deny {
        let message = format!("no price is known for the model `{model}` of `{name}`");
        return Err((ErrorKind::PriceUnknown, message));
    }
    Ok(grant)
}
