//! Phase "stream reply": passes the answer on as it comes, meters it, and settles before its end.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use scopeguard::ScopeGuard;
use smallvec::SmallVec;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;
use tollgate_domain::{ErrorKind, GatewayError};
use tollgate_gate::Settled;
use tollgate_llm::reply::{Dialect, ErrorReply};
use tollgate_llm::stream::{Step, StreamSummary};

use crate::attempt;
use crate::guard::Guard;
use crate::join::Joiner;
use crate::run::{Cut, Progress, Run};
use crate::source::Source;
use crate::upstream::UpstreamError;

/// How long a provider may take to end its answer after it said that it has.
const LATE_END: Duration = Duration::from_secs(2);

/// The body of a streamed answer. The connection to the provider is driven by polling it.
#[derive(Debug)]
pub(crate) struct StreamReply {
    /// Until it is settled.
    guard: Option<Guard>,
    /// The connection after settlement, so that it can end cleanly and be used again.
    rest: Option<Source>,
    state: State,
    out: Joiner,
    /// What the client gets once the settlement is written.
    held: SmallVec<[Bytes; 2]>,
    clock: StreamClock,
    is_ending_late: bool,
    hard: Pin<Box<WaitForCancellationFutureOwned>>,
    dialect: Dialect,
    request_id: String,
}

#[derive(Debug)]
enum State {
    Flowing,
    Settling(Settled),
    /// Everything is settled and handed out; only the provider's own end is still to come.
    Ending,
    Ended,
}

/// The two limits on a stream's time, with one timer that is not touched for each chunk.
#[derive(Debug)]
struct StreamClock {
    timer: Pin<Box<Sleep>>,
    idle: Duration,
    last: Instant,
    end: Instant,
}

impl StreamClock {
    /// `first`: how long the first piece may take. Providers send the head and then think.
    fn new(first: Duration, idle: Duration, total: Duration) -> Self {
        let now = Instant::now();
        let end = now + total;
        let first = first.max(idle);
        Self {
            timer: Box::pin(tokio::time::sleep_until(end.min(now + first))),
            idle,
            last: now + first.saturating_sub(idle),
            end,
        }
    }

    /// From now on there is only so much left.
    fn shorten(&mut self, left: Duration) {
        self.end = self.end.min(Instant::now() + left);
        self.timer.as_mut().reset(self.end);
    }

    fn touch(&mut self) {
        self.last = Instant::now();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<UpstreamError> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.end.min(self.last + self.idle);
            if now >= self.end {
                return Poll::Ready(UpstreamError::Timeout);
            }
            if now >= due {
                return Poll::Ready(UpstreamError::Idle);
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl StreamReply {
    /// Takes over a run whose answer is a stream.
    pub(crate) fn new(run: Guard, dialect: Dialect) -> Self {
        let first = attempt::timeout(&run);
        let network = run.admission.candidate().provider.network.as_ref();
        let idle = network.map_or(first, |network| network.idle_timeout);
        let total = run.shared().config.max_stream_duration;
        let hard = run.shared().shutdown.hard.clone();
        Self {
            request_id: run.admission.request_id().to_string(),
            clock: StreamClock::new(first, idle, total),
            guard: Some(run),
            rest: None,
            state: State::Flowing,
            out: Joiner::default(),
            held: SmallVec::new(),
            is_ending_late: false,
            hard: Box::pin(hard.cancelled_owned()),
            dialect,
        }
    }

    pub(crate) const fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended) && self.out.is_empty()
    }

    /// The next bytes for the client: everything that is ready now, in one piece.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        while !self.out.is_full() {
            let has_moved = match &mut self.state {
                State::Flowing => self.flow(cx),
                State::Settling(settled) => {
                    let written = Pin::new(&mut settled.written).poll(cx);
                    match written {
                        Poll::Pending => false,
                        Poll::Ready(result) => {
                            self.settled(result.is_ok());
                            true
                        }
                    }
                }
                State::Ending => self.end(cx),
                State::Ended => false,
            };
            if !has_moved {
                break;
            }
        }
        match self.out.take() {
            Some(bytes) => Poll::Ready(Some(bytes)),
            None if matches!(self.state, State::Ended) => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    /// Takes one piece from the provider, if one is there. Returns whether anything happened.
    fn flow(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(run) = self.guard.as_deref_mut() else {
            self.state = State::Ended;
            return true;
        };
        let run: &mut Run = run;
        let (Some(source), Progress::Streaming(meter)) = (&mut run.source, &mut run.progress)
        else {
            self.state = State::Ended;
            return true;
        };
        match source.poll_data(cx) {
            Poll::Ready(Some(Ok(chunk))) => {
                let step = meter.push(&chunk);
                run.note_first_byte();
                self.clock.touch();
                self.take(step, None);
                true
            }
            Poll::Ready(Some(Err(error))) => {
                self.fail(error);
                true
            }
            Poll::Ready(None) => {
                let step = meter.finish();
                run.source = None;
                self.take(step, Some(Cut::Complete));
                true
            }
            Poll::Pending => {
                if let Poll::Ready(error) = self.clock.poll(cx) {
                    self.fail(error);
                    return true;
                }
                if self.hard.as_mut().poll(cx).is_ready() {
                    self.shut_down();
                    return true;
                }
                false
            }
        }
    }

    /// Hands out what the meter lets through. The stream is settled when it said that it ends, or has ended.
    fn take(&mut self, step: Step, cut: Option<Cut>) {
        for piece in step.now {
            self.out.push(piece);
        }
        let is_over = cut.is_some() || !step.after_settlement.is_empty();
        self.held.extend(step.after_settlement);
        if is_over {
            self.settle(cut.unwrap_or(Cut::Complete), None);
        }
    }

    fn settle(&mut self, cut: Cut, error: Option<ErrorKind>) {
        let Some(guard) = self.guard.take() else {
            return;
        };
        let mut run = ScopeGuard::into_inner(guard);
        self.rest = run.source.take();
        let summary = summary(&run);
        let (outcome, usage) = run.charge_stream(&summary, cut);
        // The status went out with the head.
        let code = error.map(ErrorKind::code);
        let settled = run.settle(outcome, usage, 200, code);
        self.state = State::Settling(settled);
    }

    /// The settlement is written, or never will be.
    fn settled(&mut self, is_written: bool) {
        self.state = State::Ending;
        if is_written {
            for piece in std::mem::take(&mut self.held) {
                self.out.push(piece);
            }
        } else {
            // Without its charge on record the answer must not look complete.
            self.held.clear();
            self.rest = None;
            self.push_error(&GatewayError::new(
                ErrorKind::LedgerUnavailable,
                "the answer could not be metered to its end",
            ));
        }
    }

    /// The provider broke off in the middle: the client is told inside the stream.
    fn fail(&mut self, error: UpstreamError) {
        let Some(run) = &mut self.guard else { return };
        run.source = None;
        let error = attempt::failure(run, error);
        tracing::warn!(
            request.id = %self.request_id,
            error = %error,
            cause = error.source.as_ref().map(tracing::field::display),
            "a stream broke off"
        );
        self.settle(Cut::Broken, Some(error.kind));
        self.hold_error(&error);
    }

    /// The grace time is over.
    fn shut_down(&mut self) {
        let error = GatewayError::new(
            ErrorKind::ShuttingDown,
            "this instance is shutting down; send the request again",
        );
        self.settle(Cut::Abandoned, Some(error.kind));
        self.rest = None;
        self.hold_error(&error);
    }

    fn hold_error(&mut self, error: &GatewayError) {
        if !self.out.is_at_line_start() {
            // Half an event went out: end it, so that the error is an event of its own.
            self.held.push(Bytes::from_static(b"\n\n"));
        }
        let event = ErrorReply::new(error, &self.request_id).to_event(self.dialect);
        self.held.push(event);
    }

    fn push_error(&mut self, error: &GatewayError) {
        self.hold_error(error);
        for piece in std::mem::take(&mut self.held) {
            self.out.push(piece);
        }
    }

    /// After settlement: lets the connection end, so that it can be used again. Bytes that still come go nowhere, as
    /// those that came along with the end: they are comments or white space, or an answer that nobody has paid for.
    fn end(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(source) = &mut self.rest else {
            self.state = State::Ended;
            return true;
        };
        match source.poll_data(cx) {
            Poll::Ready(Some(Ok(_))) => true,
            Poll::Ready(Some(Err(_)) | None) => {
                self.state = State::Ended;
                true
            }
            Poll::Pending => {
                if !std::mem::replace(&mut self.is_ending_late, true) {
                    self.clock.shorten(LATE_END);
                }
                let is_over =
                    self.clock.poll(cx).is_ready() || self.hard.as_mut().poll(cx).is_ready();
                if is_over {
                    self.state = State::Ended;
                }
                is_over
            }
        }
    }
}

fn summary(run: &Run) -> StreamSummary {
    match &run.progress {
        Progress::Streaming(meter) => meter.summary(),
        _ => StreamSummary {
            usage: None,
            text_bytes: 0,
            end: None,
            has_finish_reason: false,
            is_report_last: true,
        },
    }
}
