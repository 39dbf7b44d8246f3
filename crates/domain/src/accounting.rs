//! The records that pass between the ledger, which makes them, and the database, which keeps them.
//!
//! The ledger writes them to its journal first; a worker folds the journal into the database in batches. Neither crate
//! knows the other: this vocabulary is what they share.

use uuid::Uuid;

use crate::access::Endpoint;
use crate::error::ErrorKind;
use crate::ids::{CopyId, ProfileId, RequestId, ResetId, UserId, VirtualKeyId};
use crate::limits::{MeterId, MeterKind, ResetDuration, Window, WindowKey};
use crate::live::{CorrectionNote, Once};
use crate::money::Usd;
use crate::provider::ProviderName;
use crate::time::Timestamp;
use crate::usage::TokenUsage;

/// Names a counter: one meter in one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// The limit line.
    pub line: Uuid,
    /// What it counts. Never [`MeterKind::Parallel`]: that has no window and is not kept.
    pub kind: MeterKind,
    /// How long its windows last; an edit that changes it starts another counter.
    pub duration: ResetDuration,
    /// Which window.
    pub window: WindowKey,
}

/// An amount on a counter: a charge, a hold, a correction, or the whole count, as the place says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterAmount {
    /// Which counter.
    pub key: CounterKey,
    /// The window's bounds, so that it can be found again without its meter.
    pub start: Timestamp,
    /// The first instant after the window.
    pub end: Timestamp,
    /// In the kind's unit.
    pub amount: i64,
}

impl CounterAmount {
    /// `amount` on the counter of `line` in `window`.
    pub const fn new(
        line: Uuid,
        kind: MeterKind,
        duration: ResetDuration,
        window: Window,
        amount: i64,
    ) -> Self {
        Self {
            key: CounterKey {
                line,
                kind,
                duration,
                window: window.key,
            },
            start: window.start,
            end: window.end,
            amount,
        }
    }
}

/// Who asked for what, and who pays: what the request log says of an admitted attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldFacts {
    /// The request, which is also the hold.
    pub request: RequestId,
    /// When it was admitted.
    pub at: Timestamp,
    /// The key.
    pub key: VirtualKeyId,
    /// The key's user, when it has one.
    pub user: Option<UserId>,
    /// The copy that pays; `None` when the key pays by itself.
    pub copy: Option<CopyId>,
    /// The copy's template.
    pub profile: Option<ProfileId>,
    /// The template's version that decided.
    pub profile_version: Option<i64>,
    /// Where it went.
    pub provider: ProviderName,
    /// The model, without the provider.
    pub model: String,
    /// What kind of work.
    pub endpoint: Endpoint,
    /// Whether the answer is streamed.
    pub is_stream: bool,
    /// Whether the hold is an upper bound.
    pub is_bound: bool,
    /// What is charged when nobody learns how it ended; of a refused request, what it would have held.
    pub reserved_cost: Usd,
    /// The tokens behind it.
    pub reserved_tokens: u64,
    /// What was not refused because a profile is in shadow mode; `None` of a refused request.
    pub shadow: Option<Shadow>,
}

/// What a profile in shadow mode would have refused a request with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shadow {
    /// The kind of refusal.
    pub kind: ErrorKind,
    /// The limit that was full, when one was.
    pub limit: Option<MeterId>,
}

impl Shadow {
    /// A full limit.
    pub const fn of_limit(limit: MeterId, is_transient: bool) -> Self {
        Self {
            kind: ErrorKind::limit_refusal(limit.kind, is_transient),
            limit: Some(limit),
        }
    }
}

/// A hold that is not closed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHold {
    /// Who, what, for whom.
    pub facts: HoldFacts,
    /// What it holds, in the windows of its admission.
    pub holds: Vec<CounterAmount>,
}

/// How a request ended, as far as money goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Answered; the provider reported its usage.
    Reported,
    /// Answered, in whole or in part; the usage is our own count.
    Counted,
    /// Nothing was consumed: no connection, or an error status from the provider.
    Failed,
    /// Nobody knows; charged what was held.
    InDoubt,
    /// Refused before it was sent. Holds nothing and is charged nothing.
    Refused,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [
        Self::Reported,
        Self::Counted,
        Self::Failed,
        Self::InDoubt,
        Self::Refused,
    ];

    /// A stable small number for the journal.
    pub const fn code(self) -> u8 {
        match self {
            Self::Reported => 1,
            Self::Counted => 2,
            Self::Failed => 3,
            Self::InDoubt => 4,
            Self::Refused => 5,
        }
    }

    /// The outcome with this [`Self::code`].
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    /// As the request log, the database and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Counted => "counted",
            Self::Failed => "failed",
            Self::InDoubt => "in_doubt",
            Self::Refused => "refused",
        }
    }

    /// The outcome that [`Self::as_str`] writes as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// How one request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// The HTTP status that the client got.
    pub status: u16,
    /// The code of the error, when it was one.
    pub error_code: Option<String>,
    /// Tokens by kind.
    pub usage: TokenUsage,
    /// What it cost.
    pub cost: Usd,
    /// From admission to the end, in microseconds.
    pub duration_micros: u64,
    /// From admission to the first byte of the answer, in microseconds.
    pub first_byte_micros: Option<u64>,
    /// Attempts that were made, at least 1 once one was dispatched.
    pub attempts: u32,
}

/// A row of the request log, made from the journal and written in the fold's transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Who asked for what, and who paid.
    pub facts: HoldFacts,
    /// How it ended.
    pub ending: Ending,
}

/// A correction by hand, for the audit trail. What it did to counters is in [`FoldBatch::counters`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    /// When.
    pub at: Timestamp,
    /// Who, and why.
    pub note: CorrectionNote,
    /// Of what.
    pub of: Corrected,
    /// The amount before: used in the running window, or charged to the request.
    pub before: Usd,
    /// The amount after.
    pub after: Usd,
}

/// A correction that must not be made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeOnce {
    /// Who made it.
    pub actor: String,
    /// Its key, and what was asked for.
    pub once: Once,
    /// When.
    pub at: Timestamp,
}

/// What a correction corrected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corrected {
    /// What a budget line has used in one window; its amount is the difference.
    Budget(CounterAmount),
    /// What a request was charged in doubt.
    InDoubt(RequestId),
}

/// A place in the journal: everything before it has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct JournalPosition {
    /// The segment's number, counting from 1.
    pub segment: u64,
    /// The byte in it.
    pub offset: u64,
}

/// What a piece of the journal changes, to be applied in one transaction, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoldBatch {
    /// Which journal.
    pub journal: Uuid,
    /// Where the piece starts: the position that the database must have.
    pub from: JournalPosition,
    /// Where it ends: the position that the database has afterwards.
    pub to: JournalPosition,
    /// The latest instant in the journal up to there; time never runs behind it.
    pub last_instant: Timestamp,
    /// Changes of counters, one for each counter that changed, as differences.
    pub counters: Vec<CounterAmount>,
    /// Requests that ended.
    pub log: Vec<LogEntry>,
    /// Requests whose in-doubt charge was corrected: the request, the new cost, and when.
    pub resolved: Vec<(RequestId, Usd, Timestamp)>,
    /// Corrections by hand, in their order; each becomes an entry of the audit trail.
    pub corrections: Vec<Correction>,
    /// Usage that was set back to zero: the database need not keep these any longer.
    pub resets: Vec<ResetId>,
    /// Holds that are open at the end of the piece and were not at its start, or that changed.
    pub opened: Vec<OpenHold>,
    /// Holds that were open at its start and no longer are.
    pub closed: Vec<RequestId>,
    /// Requests that were charged in doubt in the piece and not corrected in it: [`OpenHold::holds`] is what was
    /// charged, so that a correction finds the counters. They also have a row in `log`.
    pub in_doubt: Vec<OpenHold>,
}

/// What the database knows of the ledger; from here the ledger starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LedgerState {
    /// The journal that the database belongs to; `None` before the first start.
    pub journal: Option<Uuid>,
    /// How far it was folded.
    pub position: JournalPosition,
    /// The latest instant seen.
    pub last_instant: Option<Timestamp>,
    /// Counters whose window has not ended, and those that open holds name, as whole counts.
    pub counters: Vec<CounterAmount>,
    /// Holds that are open at the position.
    pub open: Vec<OpenHold>,
    /// Requests that were charged in doubt and are not resolved: the charged meters, so that a correction finds them.
    pub in_doubt: Vec<OpenHold>,
    /// Corrections of the last day whose repetition has to be known here: nobody can look their answer up.
    pub made_once: Vec<MadeOnce>,
}
