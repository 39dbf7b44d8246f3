//! An admitted request: what it holds is charged or given back, whatever becomes of it.

use std::sync::Arc;

use tollgate_domain::access::{Candidate, ModelRequest};
use tollgate_domain::accounting::{Ending, Outcome, Shadow};
use tollgate_domain::ids::RequestId;
use tollgate_domain::live::Count;
use tollgate_domain::{ErrorKind, GatewayError, Timestamp, TokenUsage, Usd};
use tollgate_ledger::{Counts, Hold, Written};

use crate::credentials::Caller;
use crate::facts::{Asked, micros_between};
use crate::gate::Gate;
use crate::numbers::Numbers;
use crate::running::Slot;
use crate::sweep::patience;

/// The status of an answer that the client did not wait for.
const CLIENT_GONE: u16 = 499;

/// How a dispatched request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How, as far as money goes. [`Outcome::Failed`] costs nothing; [`Outcome::InDoubt`] costs what was held.
    pub outcome: Outcome,
    /// The tokens, reported or counted.
    pub usage: TokenUsage,
    /// The HTTP status that the client got.
    pub status: u16,
    /// The code of the error, when it was one.
    pub error_code: Option<String>,
    /// When the first byte of the answer came.
    pub first_byte_at: Option<Timestamp>,
}

/// What a settlement did.
#[derive(Debug)]
pub struct Settled {
    /// What was charged.
    pub cost: Usd,
    /// What is left after it.
    pub numbers: Numbers,
    /// Await it before the client sees the end of the answer; on an error the client must not see it.
    pub written: Written,
}

/// An admitted request.
///
/// Dropped without [`Admission::settle`], it gives back what it holds when nothing was sent yet, and is charged what it
/// held, in doubt, otherwise.
#[derive(Debug)]
#[must_use = "dropping an admission ends it"]
pub struct Admission {
    gate: Arc<Gate>,
    /// Where the hold is, until this ends it, or the sweep does.
    slot: Arc<Slot>,
    /// The counts right after admission, one for each need.
    counts: Counts,
    shadow: Option<Shadow>,
    candidate: Candidate,
    caller: Caller,
    id: RequestId,
    is_stream: bool,
    started: Timestamp,
    attempts: u32,
    /// What the input was as text, when it was nothing but text.
    text_bytes: Option<u64>,
    choices: u64,
}

impl Admission {
    pub(crate) fn new(
        gate: Arc<Gate>,
        asked: &Asked<'_>,
        candidate: Candidate,
        hold: Hold,
    ) -> Self {
        let shadow = hold.facts().shadow;
        gate.note_shadow(&candidate, &hold, None);
        Self {
            counts: hold.counts().into(),
            shadow,
            slot: gate
                .running
                .insert(hold, asked.at, patience(&candidate.provider)),
            gate,
            candidate,
            caller: asked.caller,
            id: asked.id,
            is_stream: asked.is_stream,
            started: asked.at,
            attempts: 0,
            text_bytes: asked.request.is_text().then_some(asked.request.body_bytes),
            choices: asked.request.choices,
        }
    }

    /// Who serves it, with which credentials, on whose account.
    pub const fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    /// The id of the request.
    pub const fn request_id(&self) -> RequestId {
        self.id
    }

    /// When it was admitted.
    pub const fn started(&self) -> Timestamp {
        self.started
    }

    /// How often it was sent.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// What a profile in shadow mode would have refused it with, were it not in shadow mode.
    pub const fn shadow(&self) -> Option<Shadow> {
        self.shadow
    }

    /// What was left right after admission, for the headers of a stream.
    pub fn numbers(&self) -> Numbers {
        Numbers::of_needs(&self.candidate.needs, &self.counts, self.started)
    }

    /// Says that the request is being sent. Call it right before the first byte goes out, for every attempt.
    pub fn mark_dispatched(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        if let Some(hold) = &mut *self.slot.lock() {
            hold.mark_dispatched();
        }
    }

    /// Decides anew, on the newest snapshot, for a retry or a fallback, and moves the hold to the first candidate that
    /// `accepts` likes and that has room.
    ///
    /// The earlier attempt must have cost nothing: refused connection, or an error status.
    ///
    /// # Errors
    /// As [`Gate::admit`]; the admission stays as it was, and still has to be settled.
    pub fn exchange(
        &mut self,
        request: &ModelRequest<'_>,
        mut accepts: impl FnMut(&Candidate) -> bool,
    ) -> Result<(), GatewayError> {
        let asked = Asked {
            id: self.id,
            caller: self.caller,
            request,
            is_stream: self.is_stream,
            at: self.gate.clock.now(),
        };
        let mut held = self.slot.lock();
        let Some(hold) = &mut *held else {
            return Err(expired());
        };
        let mut exchange = |candidate: &Candidate| {
            let facts = asked.facts(candidate);
            self.gate
                .ledger
                .exchange(hold, facts, &candidate.needs, asked.at)
        };
        let (candidate, ()) = self
            .gate
            .first_with_room(&asked, &mut accepts, &mut exchange)
            .map_err(|(error, _)| error)?;
        self.counts = hold.counts().into();
        self.gate.note_shadow(&candidate, hold, self.shadow);
        self.shadow = hold.facts().shadow;
        drop(held);
        self.slot.set_patience(patience(&candidate.provider));
        self.candidate = candidate;
        Ok(())
    }

    /// Charges the request for how it ended.
    pub fn settle(self, answer: Answer) -> Settled {
        let now = self.gate.clock.now();
        let Some(hold) = self.gate.running.remove(&self.slot) else {
            return self.settled_before();
        };
        let is_answer = matches!(answer.outcome, Outcome::Reported | Outcome::Counted);
        let cost = match answer.outcome {
            Outcome::Reported | Outcome::Counted => self.price(&answer.usage),
            Outcome::InDoubt => self.candidate.estimate.cost,
            Outcome::Failed | Outcome::Refused => Usd::ZERO,
        };
        if is_answer {
            self.compare(cost);
            self.learn(&answer);
        }
        let ending = self.ending(answer, cost, now);
        self.gate
            .metrics
            .ended(&ending, &self.candidate.provider.name);
        let settlement = self.gate.ledger.settle(hold, ending);
        Settled {
            cost: settlement.cost,
            numbers: Numbers::new(&self.candidate.needs, &settlement.counts, now),
            written: settlement.written,
        }
    }

    /// The sweep took this request for dead and charged what it held. That stays, in doubt, until somebody corrects it.
    fn settled_before(&self) -> Settled {
        tracing::warn!(
            request.id = %self.id,
            "a request ended after its hold was charged in doubt; it is not charged again"
        );
        Settled {
            cost: self.candidate.estimate.cost,
            numbers: Numbers::default(),
            written: Written::default(),
        }
    }

    fn price(&self, usage: &TokenUsage) -> Usd {
        let price = self
            .candidate
            .info
            .as_ref()
            .and_then(|info| info.price.as_ref());
        price.map_or(Usd::ZERO, |price| price.cost(usage))
    }

    /// How the charge compares with what was held.
    fn compare(&self, cost: Usd) {
        let estimate = &self.candidate.estimate;
        if cost > estimate.cost {
            let over = cost.saturating_sub(estimate.cost);
            self.gate.metrics.over_reserved(estimate.is_bound, over);
            if estimate.is_bound {
                tracing::warn!(
                    request.id = %self.id,
                    provider = %self.candidate.provider.name,
                    model = %self.candidate.model,
                    held.usd = %estimate.cost,
                    cost.usd = %cost,
                    "the provider charged more than the bound"
                );
            }
        }
    }

    fn learn(&self, answer: &Answer) {
        // Our own counts would teach us only what we believe already.
        if answer.outcome == Outcome::Reported {
            let candidate = &self.candidate;
            self.gate.learned.learn(
                candidate.provider.name.as_str(),
                candidate.upstream_model(),
                self.text_bytes,
                self.choices,
                &answer.usage,
            );
        }
    }

    fn ending(&self, answer: Answer, cost: Usd, now: Timestamp) -> Ending {
        Ending {
            at: now,
            outcome: answer.outcome,
            status: answer.status,
            error_code: answer.error_code,
            usage: answer.usage,
            cost,
            duration_micros: micros_between(self.started, now),
            first_byte_micros: answer
                .first_byte_at
                .map(|at| micros_between(self.started, at)),
            attempts: self.attempts,
        }
    }
}

impl Gate {
    /// Counts and tells what a profile in shadow mode would have refused, unless it was told of this request `before`.
    fn note_shadow(&self, candidate: &Candidate, hold: &Hold, before: Option<Shadow>) {
        let Some(shadow) = hold.facts().shadow.filter(|it| Some(*it) != before) else {
            return;
        };
        self.metrics.shadowed(shadow.kind);
        let by_policy = candidate.shadowed.as_ref().map(|refusal| &refusal.message);
        tracing::info!(
            request.id = %hold.request(),
            code = shadow.kind.code(),
            reason = by_policy.map(tracing::field::display),
            limit = hold.shadowed().map(tracing::field::display),
            "a profile in shadow mode would have refused this request"
        );
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let Some(hold) = self.gate.running.remove(&self.slot) else {
            return;
        };
        let now = self.gate.clock.now();
        if !hold.is_dispatched() {
            self.gate.ledger.release(hold, now);
            return;
        }
        let abandoned = Answer {
            outcome: Outcome::InDoubt,
            usage: TokenUsage::default(),
            status: CLIENT_GONE,
            error_code: Some("abandoned".to_owned()),
            first_byte_at: None,
        };
        let ending = self.ending(abandoned, self.candidate.estimate.cost, now);
        self.gate
            .metrics
            .ended(&ending, &self.candidate.provider.name);
        self.gate.ledger.settle(hold, ending);
    }
}

/// No further attempt is made for what was charged already.
fn expired() -> GatewayError {
    GatewayError::new(
        ErrorKind::InternalError,
        "this request outlived the time that a request may take; send it again",
    )
}

/// The counts of a meter that is named twice appear twice at admission, and once afterwards.
impl Numbers {
    fn of_needs(needs: &[tollgate_domain::access::Need], counts: &[Count], now: Timestamp) -> Self {
        let mut numbers = Self::default();
        for (need, count) in needs.iter().zip(counts) {
            numbers.take(need, *count, now);
        }
        numbers
    }
}
