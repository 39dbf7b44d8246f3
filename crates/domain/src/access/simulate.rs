//! What a draft would have done: a replay of the request log against a profile that nobody holds yet.
//!
//! The replay starts with empty counters at the first request, and judges each as if the draft were the holder's only
//! profile. It knows what a request cost, so it settles where enforcement would first have reserved: parallel requests
//! leave no trace in the log and are not replayed.

use std::collections::{BTreeMap, HashMap};

use super::grant::Copy;
use super::profile::{OnUnknownPrice, UserCopy};
use crate::access::model_list::InvalidModelPattern;
use crate::accounting::{CounterKey, LogEntry, Outcome};
use crate::error::{ErrorKind, LimitRefusal, MeterReading};
use crate::ids::{RequestId, UserId};
use crate::limits::{Meter, MeterKind};
use crate::money::Usd;
use crate::time::Timestamp;

/// Refusals that are listed one by one; beyond it they are only counted.
pub const MOST_LISTED: usize = 1_000;

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
    /// The first [`MOST_LISTED`] refusals of requests that were served, in the order of the log.
    pub refusals: Vec<SimulatedRefusal>,
    /// By user; `None` stands for keys without one.
    pub holders: BTreeMap<Option<UserId>, SimulatedHolder>,
}

/// Replays requests, one by one in the order of time.
pub struct Simulator<'a> {
    draft: Copy,
    is_priced: &'a dyn Fn(&LogEntry) -> bool,
    counters: HashMap<(Option<UserId>, CounterKey), i64>,
    simulation: Simulation,
}

impl<'a> Simulator<'a> {
    /// A replay against `draft`, whose assignment is the anchor of its windows. `is_priced` says whether the catalog
    /// knows a price for what a request used.
    ///
    /// # Errors
    /// When a model pattern of the draft does not compile.
    pub fn new(
        draft: &UserCopy,
        is_priced: &'a dyn Fn(&LogEntry) -> bool,
    ) -> Result<Self, InvalidModelPattern> {
        Ok(Self {
            draft: draft.compile()?,
            is_priced,
            counters: HashMap::new(),
            simulation: Simulation::default(),
        })
    }

    /// Replays one request.
    pub fn replay(&mut self, entry: &LogEntry) {
        let user = entry.facts.user;
        let was_served = entry.ending.outcome != Outcome::Refused;
        let cost = if was_served {
            entry.ending.cost
        } else {
            entry.facts.reserved_cost
        };
        let tokens = if was_served {
            entry.ending.usage.total()
        } else {
            entry.facts.reserved_tokens
        };
        let verdict = judge(
            &self.draft,
            entry,
            cost,
            tokens,
            (self.is_priced)(entry),
            &self.counters,
        );
        let holder = self.simulation.holders.entry(user).or_default();
        holder.requests += 1;
        if was_served {
            holder.actual_cost = holder.actual_cost.saturating_add(cost);
        }
        match verdict {
            Ok(charges) => {
                holder.draft_cost = holder.draft_cost.saturating_add(cost);
                holder.newly_allowed += u64::from(!was_served);
                for (key, amount) in charges {
                    let count = self.counters.entry((user, key)).or_default();
                    *count = count.saturating_add(amount);
                }
            }
            Err((kind, message)) if was_served => {
                holder.newly_refused += 1;
                if self.simulation.refusals.len() < MOST_LISTED {
                    let (request, at) = (entry.facts.request, entry.facts.at);
                    self.simulation.refusals.push(SimulatedRefusal {
                        request,
                        user,
                        at,
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

type Charges = Vec<(CounterKey, i64)>;

/// The charges of a request that the draft allows, or why it does not.
fn judge(
    copy: &Copy,
    entry: &LogEntry,
    cost: Usd,
    tokens: u64,
    is_priced: bool,
    counters: &HashMap<(Option<UserId>, CounterKey), i64>,
) -> Result<Charges, (ErrorKind, String)> {
    let facts = &entry.facts;
    let (provider, model) = (&facts.provider, facts.model.as_str());
    let Some(grant) = copy.grant(provider) else {
        return Err((
            ErrorKind::ProviderBlocked,
            format!("the draft does not grant the provider `{provider}`"),
        ));
    };
    if !grant.allows(model) {
        let message = format!("the draft does not grant the model `{model}` of `{provider}`");
        return Err((ErrorKind::ModelBlocked, message));
    }
    if !is_priced && copy.settings.on_unknown_price == OnUnknownPrice::Deny {
        return Err((
            ErrorKind::PriceUnknown,
            format!("no price is known for the model `{model}` of `{provider}`"),
        ));
    }
    let mut charges = Charges::new();
    for meter in grant.meters_for(model).chain(&copy.meters) {
        let Some((key, amount)) = need(meter, facts.at, cost, tokens) else {
            continue;
        };
        let used = counters
            .get(&(facts.user, key))
            .copied()
            .unwrap_or_default();
        let limit = meter.effective_limit(facts.at);
        if used >= limit || used.saturating_add(amount) > limit {
            let refusal = LimitRefusal {
                kind: meter.id.kind,
                reading: MeterReading::new(meter, facts.at, used, 0),
                needed: amount,
                is_transient: false,
                largest_output_that_fits: None,
            };
            return Err((
                ErrorKind::limit_refusal(meter.id.kind, false),
                refusal.to_string(),
            ));
        }
        charges.push((key, amount));
    }
    Ok(charges)
}

/// What the request takes of one meter; `None` for parallel requests.
fn need(meter: &Meter, at: Timestamp, cost: Usd, tokens: u64) -> Option<(CounterKey, i64)> {
    let spec = meter.window.as_ref()?;
    let amount = match meter.id.kind {
        MeterKind::Money => cost.nanos(),
        MeterKind::Tokens => i64::try_from(tokens).unwrap_or(i64::MAX),
        MeterKind::Requests => 1,
        MeterKind::Parallel => return None,
    };
    let window = spec.window(at).key;
    Some((
        CounterKey {
            line: meter.id.line,
            kind: meter.id.kind,
            duration: spec.duration,
            window,
        },
        amount,
    ))
}
