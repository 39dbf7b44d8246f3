//! Finding requests by stretch, day, hour and block.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use tollgate_domain::Timestamp;

use super::blocks::{self, Found, Place, Reach};
use super::sums::{self, Busy, Span};
use super::{LogFilter, LoggedRequest};
use crate::error::Result;
use crate::page::PageRequest;
use crate::tx::Db;

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
    let mut open = sums::busy(db, filter, Span::Stretch, &[(time.from, time.to)]).await?;
    while found.len() < limit
        && let Some(next) = open.pop()
    {
        let requests = time.knows(filter, &next).then_some(next.requests);
        if let Some(requests) = requests.filter(|requests| *requests <= skip) {
            skip -= requests;
            continue;
        }
        let needed = skip.saturating_add((limit - found.len()) as u64);
        let mut group = Group::of(&next, requests);
        while group.wants_more(needed)
            && let Some(earlier) = open.pop_if(|it| group.takes(it) && time.knows(filter, it))
        {
            group.add(&earlier);
        }
        if group.blocks.is_none()
            && let Some(finer) = next.span.finer()
        {
            open.extend(parts_of(db, filter, &time, group, finer, needed).await?);
            continue;
        }
        let (mut newest, passed) = newest_of(db, filter, &time, group, (skip, needed)).await?;
        skip -= passed;
        let passed = usize::try_from(skip).map_or(newest.len(), |skip| skip.min(newest.len()));
        skip -= passed as u64;
        found.extend(newest.drain(passed..));
    }
    blocks::pick(db, found).await
}

/// The finer spans that a group is of, oldest first. Of a single span of which it is known how many requests it has, only
/// as many of the newest as have what is needed, if the requests are spread evenly, and before them what is left of it.
async fn parts_of(
    db: &mut Db<'_>,
    filter: &LogFilter,
    time: &Time,
    group: Group,
    finer: Span,
    needed: u64,
) -> Result<Vec<Busy>> {
    let end = finer.first_from(time.reach.newest.saturating_add_micros(1));
    let mut times = group.within(time.from, time.to.min(end));
    let mut rest = None;
    if let ([(from, to)], Some(requests)) = (times.as_mut_slice(), group.requests) {
        // Half as many again, because they are not spread evenly.
        let share = finer.number_in(*from, *to).saturating_mul(needed) / requests.max(1);
        let spans = i64::try_from(share + share / 2 + 1).unwrap_or(i64::MAX);
        let start = finer.before(*to, spans);
        if start > *from {
            rest = Some(Busy {
                span: group.span,
                start: *from,
                end: start,
                requests,
                blocks: None,
            });
            *from = start;
        }
    }
    let mut parts = sums::busy(db, filter, finer, &times).await?;
    if let Some(mut rest) = rest {
        let found = parts.iter().map(|part| part.requests).sum();
        rest.requests = rest.requests.saturating_sub(found);
        parts.insert(0, rest);
    }
    Ok(parts)
}

/// Spans of one width that are looked through together.
struct Group {
    span: Span,
    /// Each from an instant and before another, the newest first; what lies between has no such requests.
    times: Vec<(Timestamp, Timestamp)>,
    /// How many requests the filter lets through, if that is known.
    requests: Option<u64>,
    /// The blocks that have them, if those are so few that nothing else need be asked.
    blocks: Option<BTreeSet<i64>>,
}

impl Group {
    /// More of them make a long statement.
    const MOST: usize = 24;
    /// So many blocks are opened sooner than the sums of finer spans are read.
    const FEW_BLOCKS: i64 = 4;

    fn of(first: &Busy, requests: Option<u64>) -> Self {
        Self {
            span: first.span,
            times: vec![(first.start, first.end)],
            requests,
            blocks: Self::few_blocks(first).map(Iterator::collect),
        }
    }

    fn few_blocks(span: &Busy) -> Option<impl Iterator<Item = i64>> {
        let (first, last) = span.blocks?;
        (last.saturating_sub(first) < Self::FEW_BLOCKS).then_some(first..=last)
    }

    /// Whether a span is of the same kind.
    fn takes(&self, other: &Busy) -> bool {
        other.span == self.span && Self::few_blocks(other).is_some() == self.blocks.is_some()
    }

    /// Whether further spans, of which it is known how many requests they have, help to find `needed` of them.
    fn wants_more(&self, needed: u64) -> bool {
        self.requests.is_some_and(|requests| requests < needed) && self.times.len() < Self::MOST
    }

    fn add(&mut self, earlier: &Busy) {
        self.times.push((earlier.start, earlier.end));
        if let (Some(blocks), Some(more)) = (&mut self.blocks, Self::few_blocks(earlier)) {
            blocks.extend(more);
        }
        self.requests = (self.requests).map(|requests| requests + earlier.requests);
    }

    /// Its times, as far as they are from `from` and before `to`.
    fn within(&self, from: Timestamp, to: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let within = |(start, end): &(Timestamp, Timestamp)| (from.max(*start), to.min(*end));
        self.times.iter().map(within).collect()
    }
}

/// Times, the newest first, with those in one that follow upon each other.
fn joined(times: Vec<(Timestamp, Timestamp)>) -> Vec<(Timestamp, Timestamp)> {
    let mut joined: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(times.len());
    for (from, to) in times {
        match joined.last_mut() {
            Some((start, _)) if *start == to => *start = from,
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// Of so many blocks that have so many requests, how many are read at first to find `needed` requests.
fn first_piece(blocks: usize, requests: Option<u64>, needed: u64) -> usize {
    let blocks = blocks as u64;
    let piece = match requests {
        Some(requests) if requests > needed => blocks.saturating_mul(needed) / requests,
        Some(_) => blocks,
        None => 1,
    };
    usize::try_from(piece).unwrap_or(usize::MAX).max(1)
}

/// The newest requests in a group of hours, or of spans whose blocks are known, that `filter` lets through, at most
/// `needed`, newest first; without some of the newest `skip`, whose number comes along.
async fn newest_of(
    db: &mut Db<'_>,
    filter: &LogFilter,
    time: &Time,
    group: Group,
    (skip, needed): (u64, u64),
) -> Result<(Vec<Found>, u64)> {
    let times = joined(group.within(time.from, time.to));
    let (Some((_, to)), Some((from, _))) = (times.first(), times.last()) else {
        return Ok((Vec::new(), 0));
    };
    let filter = filter.within(*from, *to);
    if let Some(mut found) = all_of(db, &filter, &group, needed).await? {
        sort(&mut found);
        return Ok((found, 0));
    }
    let mut places = match group.blocks {
        Some(blocks) => blocks::places(db, blocks).await?,
        None => blocks::overlapping(db, time.reach, &times, &filter).await?,
    };
    let passed = pass_over(&mut places, skip, &filter);
    let needed = needed.saturating_sub(passed);
    let requests = (group.requests).map(|requests| requests.saturating_sub(passed));
    let mut pieces = first_piece(places.len(), requests, needed);
    let needed = usize::try_from(needed).unwrap_or(usize::MAX);
    let mut rest = places.as_slice();
    let mut found: Vec<Found> = Vec::new();
    let mut seen = 0;
    while !rest.is_empty() {
        pieces = pieces.min(blocks::MOST_AT_ONCE);
        let (piece, later) = rest.split_at(rest.len().min(pieces));
        rest = later;
        pieces *= 2;
        let ids = piece.iter().map(|place| place.id);
        let matching = blocks::matches(db, ids, &filter, needed).await?;
        seen += matching.amount;
        found.extend(matching.newest);
        blocks::keep_newest(&mut found, needed, |it| (it.at, it.request));
        // What is in the blocks that are left was admitted no later than the first of them ends.
        let is_settled = found.len() == needed
            && (rest.first()).is_none_or(|next| found.iter().all(|it| it.at > next.last_at));
        if is_settled || requests.is_some_and(|expected| seen >= expected) {
            break;
        }
    }
    sort(&mut found);
    Ok((found, passed))
}

/// All requests of a group whose blocks are known, when all are needed and the blocks are not too many to open at once.
async fn all_of(
    db: &mut Db<'_>,
    filter: &LogFilter,
    group: &Group,
    needed: u64,
) -> Result<Option<Vec<Found>>> {
    let blocks = (group.blocks.as_ref()).filter(|blocks| blocks.len() <= blocks::MOST_AT_ONCE);
    let Some(blocks) = blocks.filter(|_| group.requests.is_some_and(|it| it <= needed)) else {
        return Ok(None);
    };
    let most = usize::try_from(needed).unwrap_or(usize::MAX);
    let matching = blocks::matches(db, blocks.iter().copied(), filter, most).await?;
    Ok(Some(matching.newest))
}

/// The newest first.
fn sort(found: &mut [Found]) {
    found.sort_unstable_by_key(|it| Reverse((it.at, it.request)));
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
    let (whole, parts): (Vec<_>, Vec<_>) = blocks::overlapping(db, reach, &[(from, to)], filter)
        .await?
        .into_iter()
        .partition(is_whole);
    let mut amount = whole.iter().map(|place| place.requests).sum();
    for piece in parts.chunks(blocks::MOST_AT_ONCE) {
        let ids = piece.iter().map(|place| place.id);
        amount += blocks::matches(db, ids, filter, 0).await?.amount;
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
