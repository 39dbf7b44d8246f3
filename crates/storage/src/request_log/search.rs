//! Finding requests by stretch, day, hour and block.

use std::cmp::Reverse;

use tollgate_domain::Timestamp;
use tollgate_domain::ids::RequestId;

use super::blocks::{self, Place, Reach};
use super::sums::{self, Busy, Span};
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
        let requests = time.knows(filter, &next).then_some(next.requests);
        if let Some(requests) = requests.filter(|requests| *requests <= skip) {
            skip -= requests;
            continue;
        }
        let needed = skip.saturating_add((limit - found.len()) as u64);
        if let Some(finer) = next.span.finer() {
            open.extend(parts_of(db, filter, &time, (next, requests), finer, needed).await?);
            continue;
        }
        let mut hours = Hours::starting_with(&next, requests);
        while hours.want_more(needed)
            && let Some(earlier) = open.pop_if(|it| it.span == Span::Hour && time.knows(filter, it))
        {
            hours.add(&earlier);
        }
        let (newest, passed) = newest_of(db, filter, &time, hours, (skip, needed)).await?;
        skip -= passed;
        let passed = usize::try_from(skip).map_or(newest.len(), |skip| skip.min(newest.len()));
        skip -= passed as u64;
        found.extend_from_slice(&newest[passed..]);
    }
    blocks::pick(db, &found).await
}

/// The finer spans that a span is of, oldest first. When it is known how many requests it has, only as many of the newest
/// as have what is needed, if the requests are spread evenly, and before them what is left of it.
async fn parts_of(
    db: &mut Db<'_>,
    filter: &LogFilter,
    time: &Time,
    (whole, requests): (Busy, Option<u64>),
    finer: Span,
    needed: u64,
) -> Result<Vec<Busy>> {
    let from = whole.start.max(time.from);
    let end = finer.first_from(time.reach.newest.saturating_add_micros(1));
    let to = whole.end.min(time.to).min(end);
    let start = requests.map_or(from, |requests| {
        // Half as many again, because they are not spread evenly.
        let share = finer.number_in(from, to).saturating_mul(needed) / requests.max(1);
        let spans = i64::try_from(share + share / 2 + 1).unwrap_or(i64::MAX);
        from.max(finer.before(to, spans))
    });
    let mut parts = sums::busy(db, filter, finer, start, to).await?;
    if let Some(requests) = requests
        && start > from
    {
        let found: u64 = parts.iter().map(|part| part.requests).sum();
        let rest = Busy {
            end: start,
            requests: requests.saturating_sub(found),
            ..whole
        };
        parts.insert(0, rest);
    }
    Ok(parts)
}

/// Hours that are looked through together, the newest first.
struct Hours {
    /// Each from an instant and before another; what lies between has no such requests.
    times: Vec<(Timestamp, Timestamp)>,
    /// How many requests the filter lets through, if that is known.
    requests: Option<u64>,
}

impl Hours {
    /// More times than this make a long statement.
    const MOST_TIMES: usize = 24;

    fn starting_with(hour: &Busy, requests: Option<u64>) -> Self {
        Self {
            times: vec![(hour.start, hour.end)],
            requests,
        }
    }

    /// Whether further hours, of which it is known how many requests they have, help to find `needed` of them.
    fn want_more(&self, needed: u64) -> bool {
        self.requests.is_some_and(|requests| requests < needed)
            && self.times.len() < Self::MOST_TIMES
    }

    fn add(&mut self, hour: &Busy) {
        match self.times.last_mut() {
            Some((start, _)) if *start == hour.end => *start = hour.start,
            _ => self.times.push((hour.start, hour.end)),
        }
        self.requests = self.requests.map(|requests| requests + hour.requests);
    }

    /// Of so many blocks, how many are read at first to find `needed` requests.
    fn first_piece(&self, blocks: usize, needed: u64) -> usize {
        let blocks = blocks as u64;
        let piece = match self.requests {
            Some(requests) if requests > needed => blocks.saturating_mul(needed) / requests,
            Some(_) => blocks,
            None => 1,
        };
        usize::try_from(piece).unwrap_or(usize::MAX).max(1)
    }
}

/// The newest requests in these hours that `filter` lets through, at most `needed`, newest first; without some of the
/// newest `skip`, whose number comes along.
async fn newest_of(
    db: &mut Db<'_>,
    filter: &LogFilter,
    time: &Time,
    hours: Hours,
    (skip, needed): (u64, u64),
) -> Result<(Vec<Found>, u64)> {
    let within = |(start, end): &(Timestamp, Timestamp)| (time.from.max(*start), time.to.min(*end));
    let times: Vec<_> = hours.times.iter().map(within).collect();
    let (Some((_, to)), Some((from, _))) = (times.first(), times.last()) else {
        return Ok((Vec::new(), 0));
    };
    let filter = filter.within(*from, *to);
    let mut places = blocks::overlapping(db, time.reach, &times).await?;
    let passed = pass_over(&mut places, skip, &filter);
    let needed = needed.saturating_sub(passed);
    let hours = Hours {
        requests: (hours.requests).map(|requests| requests.saturating_sub(passed)),
        ..hours
    };
    let mut pieces = hours.first_piece(places.len(), needed);
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let mut rest = places.as_slice();
    let mut found: Vec<Found> = Vec::new();
    let mut seen = 0;
    while !rest.is_empty() {
        pieces = pieces.min(blocks::MOST_AT_ONCE);
        let (piece, later) = rest.split_at(rest.len().min(pieces));
        rest = later;
        pieces *= 2;
        let matching = blocks::matches(db, piece, &filter).await?;
        seen += matching.len() as u64;
        found.extend(matching);
        keep_newest(&mut found, needed);
        // What is in the blocks that are left was admitted no later than the first of them ends.
        let is_settled = found.len() == needed
            && rest
                .first()
                .is_none_or(|next| found.iter().all(|(at, ..)| *at > next.last_at));
        if is_settled || hours.requests.is_some_and(|expected| seen >= expected) {
            break;
        }
    }
    found.sort_unstable_by_key(|(at, request, _)| Reverse((*at, *request)));
    Ok((found, passed))
}

/// Takes away what the newest `skip` requests have whole, so that it need not be read, and says how many requests that is.
/// The blocks are in order: those that end last first.
fn pass_over(places: &mut Vec<Place>, skip: u64, filter: &LogFilter) -> u64 {
    if filter.has_dimensions() {
        return 0;
    }
    let (from, to) = filter.bounds();
    let mut sum = 0_u64;
    let is_before = |place: &&Place| {
        sum = sum.saturating_add(place.requests);
        sum <= skip
    };
    let before = places.iter().take_while(is_before).count();
    // Everything else was admitted no later than this. So of what these blocks have, and they have no more than is
    // skipped, all that was admitted later comes before it.
    let reached = (places.get(before)).map_or(Timestamp::MIN, |place| place.last_at);
    let is_passed =
        |place: &Place| place.first_at > reached && place.first_at >= from && place.last_at < to;
    let mut number = 0;
    let mut passed = 0;
    places.retain(|place| {
        number += 1;
        let goes = number <= before && is_passed(place);
        passed += if goes { place.requests } else { 0 };
        !goes
    });
    passed
}

fn keep_newest(found: &mut Vec<Found>, needed: usize) {
    if found.len() > needed {
        found.select_nth_unstable_by_key(needed, |(at, request, _)| Reverse((*at, *request)));
        found.truncate(needed);
    }
}

pub(super) async fn count(db: &mut Db<'_>, filter: &LogFilter) -> Result<u64> {
    let Some(Time { from, to, reach }) = Time::of(db, filter).await? else {
        return Ok(0);
    };
    let first_hour = Span::Hour.first_from(from);
    let last_hour = Span::Hour.start_of(to);
    if first_hour >= last_hour || filter.is_shadowed.is_some() {
        return count_read(db, reach, &filter.within(from, to)).await;
    }
    Ok(sums::count(db, filter, first_hour, last_hour).await?
        + count_read(db, reach, &filter.within(from, first_hour)).await?
        + count_read(db, reach, &filter.within(last_hour, to)).await?)
}

/// Counts by reading the log.
async fn count_read(db: &mut Db<'_>, reach: Reach, filter: &LogFilter) -> Result<u64> {
    let (from, to) = filter.bounds();
    if from >= to {
        return Ok(0);
    }
    let is_whole =
        |place: &Place| !filter.has_dimensions() && place.first_at >= from && place.last_at < to;
    let (whole, parts): (Vec<_>, Vec<_>) = blocks::overlapping(db, reach, &[(from, to)])
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
    /// What was admitted before its oldest request, and maybe at that instant, may have been forgotten; it is still in
    /// the sums.
    reach: Reach,
}

impl Time {
    /// `None` when the log is empty.
    async fn of(db: &mut Db<'_>, filter: &LogFilter) -> Result<Option<Self>> {
        let (from, to) = filter.bounds();
        Ok(blocks::reach(db).await?.map(|reach| Self {
            from: from.max(reach.oldest),
            // Up to the end of a span of each width.
            to: to.min(Span::Stretch.first_from(reach.newest.saturating_add_micros(1))),
            reach,
        }))
    }

    /// Whether the log has all that the sums have of a span, so that they say how many requests it has.
    fn knows(&self, filter: &LogFilter, span: &Busy) -> bool {
        filter.is_shadowed.is_none()
            && span.start > self.reach.oldest
            && span.start >= self.from
            && span.end <= self.to
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
