//! Blocks: some hundred requests in one row of the database.
//!
//! Who asked and what for repeats from request to request, so a block lists each such combination once, and its requests
//! name them by number. What is left of a request takes about 60 bytes. The first byte is the format's version; a new
//! field of a request is a new version, and every version stays readable.

mod codec;
mod filler;
mod kinds;
#[cfg(test)]
mod tests;
mod wire;

use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome, Shadow};
use tollgate_domain::ids::{CopyId, ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::usage::TokenUsage;
use tollgate_domain::{Timestamp, Usd};

use self::codec::RowHead;
pub(crate) use self::filler::Filler;
pub(crate) use self::kinds::Wanted;
use super::{LogFilter, LoggedRequest};

/// Requests in a full block. More make the log smaller, and single requests dearer to find.
pub(crate) const CAPACITY: usize = 512;

/// Who asked, and who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Subject {
    key: VirtualKeyId,
    user: Option<UserId>,
    copy: Option<CopyId>,
    profile: Option<ProfileId>,
    profile_version: Option<i64>,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Target {
    provider: ProviderName,
    model: String,
    endpoint: Endpoint,
}

impl Subject {
    fn is_of(&self, filter: &LogFilter) -> bool {
        filter.key.is_none_or(|key| self.key == key)
            && filter.user.is_none_or(|user| self.user == Some(user))
            && (filter.profile).is_none_or(|profile| self.profile == Some(profile))
    }
}

impl Target {
    fn is_of(&self, filter: &LogFilter) -> bool {
        (filter.provider.as_ref()).is_none_or(|provider| self.provider == *provider)
            && (filter.model.as_ref()).is_none_or(|model| self.model == *model)
            && (filter.search.as_ref()).is_none_or(|wanted| {
                let wanted = wanted.trim().to_lowercase();
                let is_in = filter.search_in;
                is_in.has_providers() && self.provider.as_str().contains(&wanted)
                    || is_in.has_models() && self.model.to_lowercase().contains(&wanted)
            })
    }
}

/// Which rows of a block a filter lets through.
struct Sieve<'a> {
    filter: &'a LogFilter,
    /// Those that subjects and targets of these numbers have.
    subjects: Vec<bool>,
    targets: Vec<bool>,
}

impl<'a> Sieve<'a> {
    fn of(block: &Block, filter: &'a LogFilter) -> Self {
        Self {
            filter,
            subjects: block.subjects.iter().map(|it| it.is_of(filter)).collect(),
            targets: block.targets.iter().map(|it| it.is_of(filter)).collect(),
        }
    }

    /// Whether it lets no row through, whatever the rows are.
    fn is_closed(&self) -> bool {
        !self.subjects.contains(&true) || !self.targets.contains(&true)
    }

    /// Whether it may let a row through that begins so.
    fn may_let_through(&self, row: &RowHead) -> bool {
        self.subjects[row.subject]
            && self.targets[row.target]
            && self.filter.from.is_none_or(|from| row.at >= from)
            && self.filter.to.is_none_or(|to| row.at < to)
    }

    /// Whether it lets a row through, of which [`Self::may_let_through`] says that it may.
    fn lets_through(&self, row: &Row) -> bool {
        (self.filter.outcome).is_none_or(|outcome| row.outcome == outcome)
            && (self.filter.is_shadowed).is_none_or(|wanted| row.shadow.is_some() == wanted)
    }
}

/// A request, with what repeats as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    request: RequestId,
    at: Timestamp,
    subject: usize,
    target: usize,
    is_stream: bool,
    is_bound: bool,
    reserved_cost: Usd,
    reserved_tokens: u64,
    ended_at: Timestamp,
    outcome: Outcome,
    status: u16,
    error_code: Option<usize>,
    shadow: Option<usize>,
    usage: TokenUsage,
    cost: Usd,
    duration_micros: u64,
    first_byte_micros: Option<u64>,
    attempts: u32,
    resolved_at: Option<Timestamp>,
}

/// Some requests of the log, in the order in which they ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Block {
    subjects: Vec<Subject>,
    targets: Vec<Target>,
    error_codes: Vec<String>,
    shadows: Vec<Shadow>,
    rows: Vec<Row>,
}

/// What the database must know of a block to find a request in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// The first and last instant of admission.
    pub(crate) at: (Timestamp, Timestamp),
    /// The smallest and the largest id.
    pub(crate) request: (RequestId, RequestId),
}

/// A request of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    /// When it was admitted.
    pub(crate) at: Timestamp,
    pub(crate) request: RequestId,
    /// Where in the block it stands.
    pub(crate) place: usize,
}

impl Block {
    /// How many requests it has.
    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// `None` for an empty block.
    pub(crate) fn bounds(&self) -> Option<Bounds> {
        let first = self.rows.first()?;
        let start = Bounds {
            at: (first.at, first.at),
            request: (first.request, first.request),
        };
        Some(self.rows.iter().fold(start, |bounds, row| Bounds {
            at: (bounds.at.0.min(row.at), bounds.at.1.max(row.at)),
            request: (
                bounds.request.0.min(row.request),
                bounds.request.1.max(row.request),
            ),
        }))
    }

    /// Where its requests stand.
    pub(crate) fn matches(&self) -> Vec<Match> {
        let matches = self.rows.iter().zip(0..).map(|(row, place)| Match {
            at: row.at,
            request: row.request,
            place,
        });
        matches.collect()
    }

    /// The request that was found at this place.
    pub(crate) fn request_at(&self, place: usize) -> LoggedRequest {
        self.logged(&self.rows[place])
    }

    /// All of its requests, in the order in which they ended.
    pub(crate) fn requests(&self) -> impl Iterator<Item = LoggedRequest> + '_ {
        self.rows.iter().map(|row| self.logged(row))
    }

    /// Whether it has the request with this id.
    pub(crate) fn has(&self, id: RequestId) -> bool {
        self.rows.iter().any(|row| row.request == id)
    }

    /// The request with this id.
    pub(crate) fn find(&self, id: RequestId) -> Option<LoggedRequest> {
        let row = self.rows.iter().find(|row| row.request == id)?;
        Some(self.logged(row))
    }

    /// Notes what a request in doubt turned out to cost, and when. Returns it as it was before.
    pub(crate) fn resolve(
        &mut self,
        id: RequestId,
        cost: Usd,
        at: Timestamp,
    ) -> Option<LoggedRequest> {
        let before = self.find(id)?;
        for row in self.rows.iter_mut().filter(|row| row.request == id) {
            row.cost = cost;
            row.resolved_at = Some(at);
        }
        Some(before)
    }

    /// Removes the requests that were admitted before `before`, the oldest first, at most `limit`. Returns how many.
    pub(crate) fn forget(&mut self, before: Timestamp, limit: u64) -> u64 {
        let mut old: Vec<(Timestamp, RequestId)> = self
            .rows
            .iter()
            .map(|row| (row.at, row.request))
            .filter(|(at, _)| *at < before)
            .collect();
        old.sort_unstable();
        old.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        if let Some(last) = old.last().copied() {
            self.rows.retain(|row| (row.at, row.request) > last);
        }
        old.len() as u64
    }

    fn logged(&self, row: &Row) -> LoggedRequest {
        let (subject, target) = (&self.subjects[row.subject], &self.targets[row.target]);
        LoggedRequest {
            entry: LogEntry {
                facts: HoldFacts {
                    request: row.request,
                    at: row.at,
                    key: subject.key,
                    user: subject.user,
                    copy: subject.copy,
                    profile: subject.profile,
                    profile_version: subject.profile_version,
                    provider: target.provider.clone(),
                    model: target.model.clone(),
                    endpoint: target.endpoint,
                    is_stream: row.is_stream,
                    is_bound: row.is_bound,
                    reserved_cost: row.reserved_cost,
                    reserved_tokens: row.reserved_tokens,
                    shadow: row.shadow.map(|shadow| self.shadows[shadow]),
                },
                ending: Ending {
                    at: row.ended_at,
                    outcome: row.outcome,
                    status: row.status,
                    error_code: row.error_code.map(|code| self.error_codes[code].clone()),
                    usage: row.usage,
                    cost: row.cost,
                    duration_micros: row.duration_micros,
                    first_byte_micros: row.first_byte_micros,
                    attempts: row.attempts,
                },
            },
            resolved_at: row.resolved_at,
        }
    }
}
