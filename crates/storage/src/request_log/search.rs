//! Finding requests by stretch, day, hour and block.

use std::cmp::Reverse;

use tollgate_domain::Timestamp;
use tollgate_domain::ids::RequestId;

use super::blocks::{self, Place};
use super::sums::{self, Span};
use super::{LogFilter, LoggedRequest};
use crate::error::Result;
use crate::page::PageRequest;
use crate::tx::Db;

/// When it was admitted, its id, and the block that has it.
type Found = (Timestamp, RequestId, i64);

pub(super) async fn list(
    db: &mut Db<'_>,
    filter: &LogFilter,
    page: PageRequest,
) -> Result<Vec<LoggedRequest>> {
    let Some(time) = Time::of(db, filter).await? else {
        return Ok(Vec::new());
    };
    let limit = page.limit as usize;
    let (mut skip, mut found) = (page.offset, Vec::new());
    // What is left to be looked at, the newest last.
    let mut open = sums::busy(db, filter, Span::Stretch, time.from, time.to).await?;
    while found.len() < limit
        && let Some(next) = open.pop()
    {
        let is_known = filter.is_shadowed.is_none() && time.has_whole(next.start, next.end);
        let requests = is_known.then_some(next.requests);
        if let Some(requests) = requests.filter(|requests| *requests <= skip) {
            skip -= requests;
            continue;
        }
        let (from, to) = (next.start.max(time.from), next.end.min(time.to));
        if let Some(finer) = next.span.finer() {
            open.extend(sums::busy(db, filter, finer, from, to).await?);
            continue;
        }
        let needed = limit - found.len();
        let needed = usize::try_from(skip).map_or(usize::MAX, |skip| skip.saturating_add(needed));
        let newest = newest_of(db, &filter.within(from, to), needed, requests).await?;
        let passed = usize::try_from(skip).map_or(newest.len(), |skip| skip.min(newest.len()));
        skip -= passed as u64;
        found.extend_from_slice(&newest[passed..]);
    }
    blocks::pick(db, &found).await
}

/// The newest requests that `filter` lets through, at most `needed`, newest first. There are `expected` of them, if that
/// is known.
async fn newest_of(
    db: &mut Db<'_>,
    filter: &LogFilter,
    needed: usize,
    expected: Option<u64>,
) -> Result<Vec<Found>> {
    let (from, to) = filter.bounds();
    let places = blocks::overlapping(db, from, to).await?;
    let (mut rest, mut pieces) = (places.as_slice(), 1);
    let mut found: Vec<Found> = Vec::new();
    let mut seen = 0;
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.len().min(pieces));
        rest = later;
        pieces = (pieces * 2).min(blocks::MOST_AT_ONCE);
        let matching = blocks::matches(db, piece, filter).await?;
        seen += matching.len() as u64;
        found.extend(matching);
        keep_newest(&mut found, needed);
        // What is in the blocks that are left was admitted no later than the first of them ends.
        let is_settled = found.len() == needed
            && rest
                .first()
                .is_none_or(|next| found.iter().all(|(at, ..)| *at > next.last_at));
        if is_settled || expected.is_some_and(|expected| seen >= expected) {
            break;
        }
    }
    found.sort_unstable_by_key(|(at, request, _)| Reverse((*at, *request)));
    Ok(found)
}

fn keep_newest(found: &mut Vec<Found>, needed: usize) {
    if found.len() > needed {
        found.select_nth_unstable_by_key(needed, |(at, request, _)| Reverse((*at, *request)));
        found.truncate(needed);
    }
}

pub(super) async fn count(db: &mut Db<'_>, filter: &LogFilter) -> Result<u64> {
    let Some(Time { from, to, .. }) = Time::of(db, filter).await? else {
        return Ok(0);
    };
    let first_hour = Span::Hour.first_from(from);
    let last_hour = Span::Hour.start_of(to);
    if first_hour >= last_hour || filter.is_shadowed.is_some() {
        return count_read(db, &filter.within(from, to)).await;
    }
    Ok(sums::count(db, filter, first_hour, last_hour).await?
        + count_read(db, &filter.within(from, first_hour)).await?
        + count_read(db, &filter.within(last_hour, to)).await?)
}

/// Counts by reading the log.
async fn count_read(db: &mut Db<'_>, filter: &LogFilter) -> Result<u64> {
    let (from, to) = filter.bounds();
    if from >= to {
        return Ok(0);
    }
    let is_whole =
        |place: &Place| !filter.has_dimensions() && place.first_at >= from && place.last_at < to;
    let (whole, parts): (Vec<_>, Vec<_>) = blocks::overlapping(db, from, to)
        .await?
        .into_iter()
        .partition(is_whole);
    let mut amount = whole.iter().map(|place| place.requests).sum();
    for piece in parts.chunks(blocks::MOST_AT_ONCE) {
        amount += blocks::matches(db, piece, filter).await?.len() as u64;
    }
    Ok(amount)
}

/// The time that a filter asks for, as far as the log reaches.
struct Time {
    from: Timestamp,
    to: Timestamp,
    /// What was admitted before, and maybe at this instant, may have been forgotten; it is still in the sums.
    oldest: Timestamp,
}

impl Time {
    /// `None` when the log is empty.
    async fn of(db: &mut Db<'_>, filter: &LogFilter) -> Result<Option<Self>> {
        let (from, to) = filter.bounds();
        Ok(blocks::oldest(db).await?.map(|oldest| Self {
            from: from.max(oldest),
            to,
            oldest,
        }))
    }

    /// Whether the log has all that the sums have of an hour.
    fn has_whole(&self, start: Timestamp, end: Timestamp) -> bool {
        start > self.oldest && start >= self.from && end <= self.to
    }
}

impl LogFilter {
    /// The time that it asks for.
    fn bounds(&self) -> (Timestamp, Timestamp) {
        (
            self.from.unwrap_or(Timestamp::MIN),
            self.to.unwrap_or(Timestamp::MAX),
        )
    }
}
