//! What to do with each piece of a streamed answer.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;
use tollgate_domain::TokenUsage;

use super::boundary::Boundary;
use super::event::Event;
use crate::usage::{UsageCollector, UsageFormat};

/// Largest event that is looked at. The bytes of a larger one pass at once, unread.
pub const MAX_EVENT_BYTES: usize = 1 << 20;

/// What to do with the bytes that have arrived. Sent in this order, they are the provider's bytes up to the end of the
/// stream, all of them but the usage event that the client did not ask for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// Send these now.
    pub now: SmallVec<[Bytes; 2]>,
    /// When there are any: the answer has ended. Settle, then send these.
    pub after_settlement: SmallVec<[Bytes; 1]>,
}

/// How a stream said that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamEnd {
    /// With its terminal event: `[DONE]`, `message_stop`, `response.completed`.
    Done,
    /// With an error event.
    Error,
}

/// What a stream has told so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamSummary {
    /// The usage that the provider reported.
    pub usage: Option<TokenUsage>,
    /// Bytes of text that the model wrote, escapes undone, for our own count.
    pub text_bytes: u64,
    /// How the stream ended; `None` when it was cut off, or has no terminal event.
    pub end: Option<StreamEnd>,
    /// Whether the model named the reason why it stopped.
    pub has_finish_reason: bool,
    /// Whether nothing was written after the last report of usage.
    pub is_report_last: bool,
}

impl StreamSummary {
    /// What is charged, and whether that is the provider's own report. `counted` is our own count of this request.
    ///
    /// Without a report it is our own count. A report from the middle of a stream covers the output only up to there
    /// (Anthropic's first event says one token), so what was delivered since counts too: when the stream was cut off, and
    /// when no report that can be true followed.
    pub fn charged(&self, counted: TokenUsage) -> (TokenUsage, bool) {
        let Some(reported) = self.usage else {
            return (counted, false);
        };
        let has_ended = self.end == Some(StreamEnd::Done) || self.has_finish_reason;
        let is_complete = has_ended && self.is_report_last;
        let unreported = counted
            .total_output()
            .saturating_sub(reported.total_output());
        if is_complete || unreported == 0 {
            return (reported, true);
        }
        let usage = TokenUsage {
            output: reported.output.saturating_add(unreported),
            ..reported
        };
        (usage, false)
    }
}

/// Meters one streamed answer.
///
/// The chunk that ends an event is passed on as it came, together with all events before it in the same chunk. The
/// `"usage": null` that some providers put into every event once usage was asked for stays where it is: clients ignore
/// it, and the bytes stay untouched.
#[derive(Debug)]
pub struct StreamMeter {
    format: UsageFormat,
    hides_usage: bool,
    boundary: Boundary,
    /// The beginning of an event whose end has not arrived.
    carried: BytesMut,
    /// The current event is larger than is looked at.
    is_oversized: bool,
    /// What became of the last event, when an LF may still belong to it.
    fate_of_lf: Option<Fate>,
    usage: UsageCollector,
    text_bytes: u64,
    /// Of those, what came up to the last report.
    reported_bytes: u64,
    end: Option<StreamEnd>,
    has_finish_reason: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Send,
    Drop,
}

impl StreamMeter {
    /// A meter for an answer in this format. `hides_usage`: usage was asked for on the provider's side only, so the
    /// event that has nothing else is taken out.
    pub fn new(format: UsageFormat, hides_usage: bool) -> Self {
        Self {
            format,
            hides_usage,
            boundary: Boundary::START,
            carried: BytesMut::new(),
            is_oversized: false,
            fate_of_lf: None,
            usage: UsageCollector::new(format),
            text_bytes: 0,
            reported_bytes: 0,
            end: None,
            has_finish_reason: false,
        }
    }

    /// Takes the next bytes of the answer. Behind the end there is nothing: what follows it is neither read nor passed on,
    /// whether it comes along with the end or later.
    pub fn push(&mut self, chunk: &Bytes) -> Step {
        let mut step = Step::default();
        if self.end.is_some() {
            return step;
        }
        let mut at = self.finish_line_break(chunk, &mut step);
        at = self.finish_carried(chunk, at, &mut step);
        if self.end.is_some() {
            return step;
        }
        let mut run = at;
        while let Some(len) = self.boundary.find(&chunk[at..]) {
            let end = at + len;
            let fate = self.learn(&chunk[at..end]);
            let next = self.after_line_break(chunk, end, fate);
            if self.end.is_some() {
                send(chunk.slice(run..at), &mut step);
                send_last(chunk.slice(at..end), &mut step);
                return step;
            }
            if fate == Fate::Drop {
                send(chunk.slice(run..at), &mut step);
                run = next;
            }
            at = next;
        }
        send(chunk.slice(run..at), &mut step);
        self.carry(chunk.slice(at..), &mut step);
        step
    }

    /// The answer has no more bytes: takes what is left of an event that nobody ended.
    pub fn finish(&mut self) -> Step {
        let mut step = Step::default();
        let rest = self.carried.split().freeze();
        if !rest.is_empty() && self.read(&rest) == Fate::Send {
            self.send_event(rest, &mut step);
        }
        step
    }

    /// What is known by now.
    pub fn summary(&self) -> StreamSummary {
        StreamSummary {
            usage: self.usage.usage(),
            text_bytes: self.text_bytes,
            end: self.end,
            has_finish_reason: self.has_finish_reason,
            is_report_last: self.reported_bytes == self.text_bytes,
        }
    }

    /// The LF of a CRLF that was cut in two shares the fate of its event.
    fn finish_line_break(&mut self, chunk: &Bytes, step: &mut Step) -> usize {
        if chunk.is_empty() {
            return 0;
        }
        match self.fate_of_lf.take() {
            Some(fate) if chunk[0] == b'\n' => {
                if fate == Fate::Send {
                    send(chunk.slice(..1), step);
                }
                1
            }
            _ => 0,
        }
    }

    /// Where the next event starts, when one of this fate ends at `end`: behind the LF that may belong to it.
    fn after_line_break(&mut self, chunk: &[u8], end: usize, fate: Fate) -> usize {
        if !chunk[..end].ends_with(b"\r") {
            return end;
        }
        match chunk.get(end) {
            Some(b'\n') => end + 1,
            Some(_) => end,
            None => {
                self.fate_of_lf = Some(fate);
                end
            }
        }
    }

    /// Ends the event whose beginning is carried, if it ends in this chunk; returns where the next one starts.
    fn finish_carried(&mut self, chunk: &Bytes, at: usize, step: &mut Step) -> usize {
        if self.carried.is_empty() && !self.is_oversized {
            return at;
        }
        let Some(len) = self.boundary.find(&chunk[at..]) else {
            self.carry(chunk.slice(at..), step);
            return chunk.len();
        };
        let end = at + len;
        let fate = if self.is_oversized || self.carried.len() + len > MAX_EVENT_BYTES {
            self.pass_unread(chunk.slice(at..end), step);
            self.is_oversized = false;
            Fate::Send
        } else {
            self.carried.extend_from_slice(&chunk[at..end]);
            let event = self.carried.split().freeze();
            let fate = self.read(&event);
            if fate == Fate::Send {
                self.send_event(event, step);
            }
            fate
        };
        let next = self.after_line_break(chunk, end, fate);
        if fate == Fate::Send && self.end.is_none() {
            send(chunk.slice(end..next), step);
        }
        next
    }

    /// Keeps the beginning of an event, unless it is too large already.
    fn carry(&mut self, rest: Bytes, step: &mut Step) {
        if self.is_oversized || self.carried.len() + rest.len() > MAX_EVENT_BYTES {
            self.is_oversized = true;
            self.pass_unread(rest, step);
        } else {
            self.carried.extend_from_slice(&rest);
        }
    }

    /// Passes on a part of an event that is too large, and what was kept of it.
    fn pass_unread(&mut self, part: Bytes, step: &mut Step) {
        let carried = self.carried.split().freeze();
        self.text_bytes += (carried.len() + part.len()) as u64;
        send(carried, step);
        send(part, step);
    }

    fn send_event(&self, event: Bytes, step: &mut Step) {
        if self.end.is_some() {
            send_last(event, step);
        } else {
            send(event, step);
        }
    }

    /// Learns what an event says that came whole.
    fn learn(&mut self, event: &[u8]) -> Fate {
        if event.len() > MAX_EVENT_BYTES {
            self.text_bytes += event.len() as u64;
            return Fate::Send;
        }
        self.read(event)
    }

    /// Learns what an event says, and whether the client gets it.
    fn read(&mut self, bytes: &[u8]) -> Fate {
        let event = Event::parse(bytes);
        if event.data.is_empty() {
            return Fate::Send;
        }
        let mut fate = Fate::Send;
        let mut is_report = false;
        if event.has_usage(self.format) {
            is_report = self.usage.read_event(&event.data);
            if self.hides_usage && event.is_only_usage() {
                fate = Fate::Drop;
            }
        }
        // In the middle of its text a model does not fail: the search for that is spared on almost every event.
        let delta = event.delta(self.format);
        if let Some(delta) = delta {
            self.text_bytes += delta.text_bytes;
            self.has_finish_reason |= delta.has_finish_reason;
        }
        if is_report {
            self.reported_bytes = self.text_bytes;
        }
        if event.is_last(self.format) {
            self.end = Some(StreamEnd::Done);
        } else if delta.is_none_or(|delta| delta.may_be_last) && event.is_error() {
            self.end = Some(StreamEnd::Error);
        }
        // Whoever waits for the end has to see it.
        if self.end.is_some() { Fate::Send } else { fate }
    }
}

fn send(bytes: Bytes, step: &mut Step) {
    if !bytes.is_empty() {
        step.now.push(bytes);
    }
}

/// Holds the terminal event back. The LF of its last CRLF is given along rather than waited for.
fn send_last(event: Bytes, step: &mut Step) {
    let has_lf = event.ends_with(b"\r\n\r");
    step.after_settlement.push(event);
    if has_lf {
        step.after_settlement.push(Bytes::from_static(b"\n"));
    }
}
