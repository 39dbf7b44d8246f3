//! What the journal and the request log say of an attempt.

use tollgate_domain::access::{Candidate, ModelRequest, Payer};
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome, Shadow};
use tollgate_domain::ids::RequestId;
use tollgate_domain::provider::ProviderName;
use tollgate_domain::{GatewayError, Timestamp, TokenUsage, Usd};

use crate::credentials::Caller;

/// Longest model name that is recorded; what is longer is somebody's mistake or malice.
const MODEL_NAME_BYTES: usize = 256;

/// Who asks for what, before anybody knows who pays.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) id: RequestId,
    pub(crate) caller: Caller,
    pub(crate) request: &'a ModelRequest<'a>,
    pub(crate) is_stream: bool,
    pub(crate) at: Timestamp,
}

impl Asked<'_> {
    /// The facts of an attempt that `candidate` serves.
    pub(crate) fn facts(&self, candidate: &Candidate) -> HoldFacts {
        let copy = match &candidate.payer {
            Payer::Copy(copy) => Some(copy),
            Payer::Key(_) => None,
        };
        HoldFacts {
            request: self.id,
            at: self.at,
            key: self.caller.key,
            user: self.caller.user,
            copy: copy.map(|copy| copy.id),
            profile: copy.map(|copy| copy.profile_id),
            profile_version: copy.map(|copy| copy.profile_version),
            provider: candidate.provider.name.clone(),
            model: clipped(&candidate.model),
            endpoint: self.request.endpoint,
            is_stream: self.is_stream,
            is_bound: candidate.estimate.is_bound,
            reserved_cost: candidate.estimate.cost,
            reserved_tokens: candidate.estimate.total_tokens(),
            shadow: candidate.shadowed.as_ref().map(|refusal| Shadow {
                kind: refusal.kind,
                limit: None,
            }),
        }
    }

    /// The log row of a refusal. `candidate` is the one that came closest, when one did.
    pub(crate) fn refused(
        &self,
        candidate: Option<&Candidate>,
        error: &GatewayError,
        now: Timestamp,
    ) -> LogEntry {
        let facts = match candidate {
            // With what it would have held, so that a replay knows what it was about.
            Some(candidate) => HoldFacts {
                shadow: None,
                ..self.facts(candidate)
            },
            None => self.facts_of_name(),
        };
        let ending = Ending {
            at: now,
            outcome: Outcome::Refused,
            status: error.kind.status(),
            error_code: Some(error.kind.code().to_owned()),
            usage: TokenUsage::default(),
            cost: Usd::ZERO,
            duration_micros: micros_between(self.at, now),
            first_byte_micros: None,
            attempts: 0,
        };
        LogEntry { facts, ending }
    }

    /// All that is known when the name led nowhere.
    fn facts_of_name(&self) -> HoldFacts {
        let name = self.request.model;
        let qualified = name
            .split_once('/')
            .and_then(|(provider, model)| Some((provider.to_lowercase().parse().ok()?, model)));
        let (provider, model) = qualified.unwrap_or_else(|| (ProviderName::unknown(), name));
        HoldFacts {
            request: self.id,
            at: self.at,
            key: self.caller.key,
            user: self.caller.user,
            copy: None,
            profile: None,
            profile_version: None,
            provider,
            model: clipped(model),
            endpoint: self.request.endpoint,
            is_stream: self.is_stream,
            is_bound: false,
            reserved_cost: Usd::ZERO,
            reserved_tokens: 0,
            shadow: None,
        }
    }
}

fn clipped(model: &str) -> String {
    let mut end = model.len().min(MODEL_NAME_BYTES);
    while !model.is_char_boundary(end) {
        end -= 1;
    }
    model[..end].to_owned()
}

/// From `start` to `end`, zero when the clock stepped back.
pub(crate) fn micros_between(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.micros_since(start)).unwrap_or(0)
}
