//! A request from its admission to its settlement: what it holds, how far it is, and how it ends.

use bytes::{Bytes, BytesMut};
use http::{StatusCode, response};
use tokio::time::Instant;
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::Outcome;
use tollgate_domain::{Timestamp, TokenUsage};
use tollgate_gate::{Admission, Answer, Settled};
use tollgate_llm::stream::{StreamMeter, StreamSummary};
use tollgate_llm::tokens;
use tollgate_llm::usage::{self, UsageFormat};

use crate::shared::{Shared, Slot};
use crate::source::Source;
use crate::upstream::UpstreamError;
use crate::{headers, metrics};

/// The status of a request whose client did not wait for the answer, in the request log.
pub(crate) const CLIENT_GONE: u16 = 499;

/// What stays the same over all attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) endpoint: Endpoint,
    pub(crate) is_stream: bool,
    pub(crate) hides_usage: bool,
    pub(crate) body_bytes: u64,
    pub(crate) arrived: Instant,
}

/// How far the present attempt is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// Nothing is under way that could cost anything.
    Between,
    /// Sent; nothing has come back.
    Waiting,
    /// An answer that is collected whole.
    Collecting { status: StatusCode, body: Collected },
    /// An answer that is passed on as it comes.
    Streaming(Box<StreamMeter>),
}

/// A request that was admitted. Whoever owns it settles it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) admission: Admission,
    pub(crate) source: Option<Source>,
    pub(crate) progress: Progress,
    pub(crate) facts: Facts,
    pub(crate) first_byte_at: Option<Timestamp>,
    /// The answer is compressed although nobody asked for that: we cannot read what it says of its usage.
    is_encoded: bool,
    slot: Slot,
}

/// The pieces of a plain answer. A single one, the usual case, is not copied.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    first: Bytes,
    joined: BytesMut,
}

impl Collected {
    fn len(&self) -> usize {
        self.first.len() + self.joined.len()
    }

    fn push(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
        } else {
            self.joined
                .extend_from_slice(&std::mem::take(&mut self.first));
            self.joined.extend_from_slice(&piece);
        }
    }

    fn take(&mut self) -> Bytes {
        if self.joined.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            self.joined.split().freeze()
        }
    }
}

/// Why an answer is at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The provider ended it in good order.
    Complete,
    /// It broke off, or took too long.
    Broken,
    /// We stopped listening: the client has gone, or the process goes down.
    Abandoned,
}

impl Run {
    pub(crate) const fn new(admission: Admission, facts: Facts, slot: Slot) -> Self {
        Self {
            admission,
            source: None,
            progress: Progress::Between,
            facts,
            first_byte_at: None,
            is_encoded: false,
            slot,
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.slot.shared()
    }

    /// The request is being sent.
    pub(crate) fn dispatched(&mut self, source: Source) {
        self.source = Some(source);
        self.progress = Progress::Waiting;
    }

    /// The attempt is over and has cost nothing.
    pub(crate) fn attempt_failed(&mut self) {
        self.source = None;
        self.progress = Progress::Between;
    }

    /// Status and headers have come: decides how the body is treated.
    pub(crate) fn answered(&mut self, head: &response::Parts) {
        let is_success = head.status.is_success();
        self.is_encoded = headers::is_encoded(&head.headers);
        // By what the provider says it sends; without a word, by what was asked for.
        let is_stream = headers::is_event_stream(&head.headers)
            || (self.facts.is_stream && !headers::is_json(&head.headers));
        self.progress = if is_success && is_stream {
            let meter = StreamMeter::new(self.format(), self.facts.hides_usage);
            Progress::Streaming(Box::new(meter))
        } else {
            Progress::Collecting {
                status: head.status,
                body: Collected::default(),
            }
        };
    }

    /// The first byte of the answer's body, or of its head when it is collected.
    pub(crate) fn note_first_byte(&mut self) {
        if self.first_byte_at.is_none() {
            self.first_byte_at = Some(self.shared().gate.now());
            self.shared().metrics.first_byte(
                self.facts.endpoint,
                self.facts.is_stream,
                self.facts.arrived.elapsed(),
            );
        }
    }

    /// Collects the rest of a plain answer. Cancel safe.
    pub(crate) async fn collect(&mut self, max: usize) -> Result<Bytes, UpstreamError> {
        let (Some(source), Progress::Collecting { body, .. }) =
            (&mut self.source, &mut self.progress)
        else {
            return Ok(Bytes::new());
        };
        while let Some(piece) = source.data().await.transpose()? {
            if body.len() + piece.len() > max {
                return Err(UpstreamError::TooLarge(max));
            }
            body.push(piece);
        }
        self.source = None;
        Ok(body.take())
    }

    /// What a plain answer is charged for that has come whole.
    pub(crate) fn charge_plain(&self, status: StatusCode, body: &[u8]) -> (Outcome, TokenUsage) {
        if !status.is_success() {
            return (Outcome::Failed, TokenUsage::default());
        }
        match usage::from_body(self.format(), body) {
            Some(usage) => (Outcome::Reported, usage),
            None if self.is_encoded => (Outcome::InDoubt, TokenUsage::default()),
            None => (Outcome::Counted, self.count(tokens::text_bytes(body))),
        }
    }

    /// What a stream is charged for, by what it told and how it ended.
    pub(crate) fn charge_stream(&self, summary: &StreamSummary, cut: Cut) -> (Outcome, TokenUsage) {
        let counted = self.count(summary.text_bytes);
        // What becomes of the connection after the end says nothing of the answer.
        let cut = summary.end.map_or(cut, |_| Cut::Complete);
        if summary.usage.is_none() && self.is_in_doubt(cut, &counted) {
            return (Outcome::InDoubt, TokenUsage::default());
        }
        match summary.charged(counted) {
            (usage, true) => (Outcome::Reported, usage),
            (usage, false) => (Outcome::Counted, usage),
        }
    }

    /// Charges the request and says how it ended. The end of the answer waits for [`Settled::written`].
    pub(crate) fn settle(
        self,
        outcome: Outcome,
        usage: TokenUsage,
        status: u16,
        error_code: Option<&str>,
    ) -> Settled {
        let metrics = &self.slot.shared().metrics;
        let endpoint = self.facts.endpoint;
        match outcome_label(status, error_code) {
            metrics::OK => metrics.succeeded(endpoint),
            outcome => metrics.request(endpoint.as_str(), outcome),
        }
        metrics.finished(endpoint, self.facts.is_stream, self.facts.arrived.elapsed());
        self.admission.settle(Answer {
            outcome,
            usage,
            status,
            error_code: error_code.map(str::to_owned),
            first_byte_at: self.first_byte_at,
        })
    }

    fn format(&self) -> UsageFormat {
        UsageFormat::of(self.admission.candidate().provider.kind)
    }

    /// Our own count: the input as it was estimated, the output by the text that came.
    fn count(&self, text_bytes: u64) -> TokenUsage {
        let ratio = tokens::DEFAULT_MILLI_BYTES_PER_TOKEN;
        let mut usage = tokens::counted(self.facts.body_bytes, text_bytes, ratio);
        let estimate = &self.admission.candidate().estimate;
        usage.input = if estimate.is_bound {
            // An image has more bytes than tokens for a model that takes no more than it holds.
            usage.input.min(estimate.input_tokens)
        } else {
            estimate.input_tokens
        };
        usage
    }

    /// Whether a stream without a report says too little of what it cost for our own count to stand.
    fn is_in_doubt(&self, cut: Cut, counted: &TokenUsage) -> bool {
        if self.is_encoded {
            return true;
        }
        // Nobody heard the end: of what the model thought, or was about to say, there is no trace.
        let is_unseen = cut != Cut::Complete && (counted.output == 0 || self.reasons_unseen());
        // What was delivered is never given for less, also where the hold was only an estimate.
        is_unseen && counted.output <= self.admission.candidate().estimate.output_tokens
    }

    fn reasons_unseen(&self) -> bool {
        let info = self.admission.candidate().info.as_ref();
        info.is_some_and(|info| info.capabilities.reasoning)
    }
}

/// The label of a request's metric: a closed set.
fn outcome_label(status: u16, error_code: Option<&str>) -> &'static str {
    use tollgate_domain::ErrorKind;
    match error_code {
        Some(code) => ErrorKind::ALL
            .iter()
            .map(|kind| kind.code())
            .find(|known| *known == code)
            .unwrap_or("abandoned"),
        None if status < 400 => metrics::OK,
        None => "upstream_error",
    }
}
