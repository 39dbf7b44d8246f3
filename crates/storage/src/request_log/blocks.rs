//! The table of blocks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::LogEntry;
use tollgate_domain::ids::RequestId;

use super::block::{Block, Bounds, CAPACITY, Filler, Wanted};
use super::{LogFilter, LoggedRequest};
use crate::error::Result;
use crate::sql::{Row, query};
use crate::tx::{Db, Tx};

/// Blocks that are in memory at once.
pub(super) const MOST_AT_ONCE: usize = 32;

/// A block that is not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) id: i64,
    pub(super) first_at: Timestamp,
    pub(super) last_at: Timestamp,
    pub(super) requests: u64,
}

/// How far the log reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reach {
    /// When its oldest request was admitted.
    pub(super) oldest: Timestamp,
    /// Nothing was admitted after this.
    pub(super) newest: Timestamp,
    /// How long its longest block lasts, in microseconds.
    longest: i64,
}

/// `None` when the log is empty.
pub(super) async fn reach(db: &mut Db<'_>) -> Result<Option<Reach>> {
    let statement = query(
        "select (select min(first_at) from request_log_blocks) as oldest,
             (select max(first_at) from request_log_blocks) as last_start,
             (select max(span) from request_log_blocks) as longest",
    );
    let Some(row) = db.row(statement).await? else {
        return Ok(None);
    };
    let (Some(oldest), Some(last), Some(longest)) = (
        row.instant_opt("oldest")?,
        row.instant_opt("last_start")?,
        row.get::<Option<i64>>("longest")?,
    ) else {
        return Ok(None);
    };
    Ok(Some(Reach {
        oldest,
        newest: last.saturating_add_micros(longest),
        longest,
    }))
}

/// The blocks that may have requests of these times, each from an instant and before another, of the kinds that `filter`
/// lets through; those that end last first.
pub(super) async fn overlapping(
    db: &mut Db<'_>,
    reach: Reach,
    times: &[(Timestamp, Timestamp)],
    filter: &LogFilter,
) -> Result<Vec<Place>> {
    if times.is_empty() {
        return Ok(Vec::new());
    }
    let wanted = Wanted::by(filter);
    let mut statement = query("");
    let mut separator = "";
    for (from, to) in times {
        statement.push(separator);
        statement.push(if wanted.is_anything() {
            "select id, first_at, last_at, requests"
        } else {
            "select id, first_at, last_at, requests, kinds"
        });
        statement.push(" from request_log_blocks where first_at >= ");
        // No block that begins earlier than the longest lasts reaches into the time.
        statement.push_value(from.as_micros().saturating_sub(reach.longest));
        statement.push(" and first_at < ");
        statement.push_value(*to);
        statement.push(" and last_at >= ");
        statement.push_value(*from);
        separator = " union ";
    }
    statement.push(" order by last_at desc, id desc");
    let mut places = Vec::new();
    for row in db.rows(statement).await? {
        if wanted.is_anything() || wanted.may_be_in(row.get::<Option<Vec<u8>>>("kinds")?.as_deref())
        {
            places.push(read_place(&row)?);
        }
    }
    Ok(places)
}

/// The blocks with these ids, without those that were forgotten; those that end last first.
pub(super) async fn places(db: &mut Db<'_>, ids: BTreeSet<i64>) -> Result<Vec<Place>> {
    let mut statement =
        query("select id, first_at, last_at, requests from request_log_blocks where id in ");
    statement.push_list(ids);
    statement.push(" order by last_at desc, id desc");
    db.rows(statement).await?.iter().map(read_place).collect()
}

fn read_place(row: &Row) -> Result<Place> {
    Ok(Place {
        id: row.get("id")?,
        first_at: row.instant("first_at")?,
        last_at: row.instant("last_at")?,
        requests: row.unsigned("requests")?,
    })
}

/// A request that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) at: Timestamp,
    pub(super) request: RequestId,
    /// The id of the block that has it.
    block: i64,
    /// All of it, if it was taken along.
    logged: Option<Box<LoggedRequest>>,
}

/// What a filter lets through of a few blocks.
#[derive(Debug, Default)]
pub(super) struct Matching {
    pub(super) amount: u64,
    /// Of each block the newest ones, in no order.
    pub(super) newest: Vec<Found>,
}

/// More requests than this are only noted, and [`pick`] reads the blocks of those that are wanted in the end.
const MOST_TAKEN: usize = 1_000;

/// The requests in a few blocks that `filter` lets through; of each block, the newest `most` come along.
pub(super) async fn matches(
    db: &mut Db<'_>,
    ids: impl IntoIterator<Item = i64>,
    filter: &LogFilter,
    most: usize,
) -> Result<Matching> {
    let mut statement = query("select id, content from request_log_blocks where id in ");
    statement.push_list(ids);
    let mut matching = Matching::default();
    for row in db.rows(statement).await? {
        let id = row.get("id")?;
        let block = Block::decode_for(&row.get::<Vec<u8>>("content")?, filter)?;
        let mut matches = block.matches();
        matching.amount += matches.len() as u64;
        keep_newest(&mut matches, most, |it| (it.at, it.request));
        matching.newest.extend(matches.into_iter().map(|it| Found {
            at: it.at,
            request: it.request,
            block: id,
            logged: (most <= MOST_TAKEN).then(|| Box::new(block.request_at(it.place))),
        }));
    }
    Ok(matching)
}

/// Leaves the newest `amount` of `found`, in no order.
pub(super) fn keep_newest<T>(
    found: &mut Vec<T>,
    amount: usize,
    age: impl Fn(&T) -> (Timestamp, RequestId),
) {
    if found.len() > amount {
        found.select_nth_unstable_by_key(amount, |it| Reverse(age(it)));
        found.truncate(amount);
    }
}

/// One block, unless it was forgotten.
pub(super) async fn read(db: &mut Db<'_>, id: i64) -> Result<Option<Block>> {
    db.row(query("select content from request_log_blocks where id = $1").bind(id))
        .await?
        .map(|row| decode(&row))
        .transpose()
}

/// The block with a request, and its id.
pub(crate) async fn holding(db: &mut Db<'_>, request: RequestId) -> Result<Option<(i64, Block)>> {
    // Ids sort by time, so few blocks come into question, and most often the first has it. The others are those that
    // begin before the request, and nothing says how far to look for them: that is for when the first has it not.
    let first = query(
        "select id, content from request_log_blocks where last_request >= $1 order by last_request limit 1",
    );
    if let Some(row) = db.row(first.bind(bytes(request))).await? {
        let block = decode(&row)?;
        if block.has(request) {
            return Ok(Some((row.get("id")?, block)));
        }
    }
    let all = query(
        "select id from request_log_blocks where last_request >= $1 and first_request <= $1 order by last_request",
    );
    for place in db.rows(all.bind(bytes(request))).await? {
        let id = place.get("id")?;
        if let Some(block) = read(db, id).await?
            && block.has(request)
        {
            return Ok(Some((id, block)));
        }
    }
    Ok(None)
}

/// Adds requests to the end of the log. Returns the id of the block of each.
pub(crate) async fn append<'a>(
    tx: &mut Tx,
    requests: impl Iterator<Item = (&'a LogEntry, Option<Timestamp>)>,
) -> Result<Vec<i64>> {
    let (mut id, mut filler) = last(tx).await?;
    let mut ids = Vec::with_capacity(requests.size_hint().0);
    for (entry, resolved_at) in requests {
        if filler.is_full() {
            put(tx, id, &std::mem::take(&mut filler).into_block()).await?;
            id += 1;
        }
        filler.add(entry, resolved_at);
        ids.push(id);
    }
    put(tx, id, &filler.into_block()).await?;
    Ok(ids)
}

/// The last block when it takes more, else the place of the next.
async fn last(tx: &mut Tx) -> Result<(i64, Filler)> {
    let statement = query(
        "select id, case when requests < $1 then content end as content from request_log_blocks
         order by id desc limit 1",
    );
    let capacity = i64::try_from(CAPACITY).unwrap_or(i64::MAX);
    let Some(row) = tx.row(statement.bind(capacity)).await? else {
        return Ok((1, Filler::default()));
    };
    let id: i64 = row.get("id")?;
    Ok(match row.get::<Option<Vec<u8>>>("content")? {
        Some(content) => (id, Block::decode(&content)?.into()),
        None => (id + 1, Filler::default()),
    })
}

/// Writes a block in the place of what it was before; one without requests is removed.
pub(crate) async fn put(tx: &mut Tx, id: i64, block: &Block) -> Result<()> {
    let Some(Bounds { at, request }) = block.bounds() else {
        return remove(tx, id).await;
    };
    tx.execute(
        query(
            "insert into request_log_blocks
                 (id, requests, first_at, last_at, span, first_request, last_request, content, kinds)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (id) do update set
                 requests = excluded.requests, first_at = excluded.first_at, last_at = excluded.last_at,
                 span = excluded.span, first_request = excluded.first_request, last_request = excluded.last_request,
                 content = excluded.content, kinds = excluded.kinds",
        )
        .bind(id)
        .bind(block.len() as u64)
        .bind(at.0)
        .bind(at.1)
        .bind(at.1.micros_since(at.0))
        .bind(bytes(request.0))
        .bind(bytes(request.1))
        .bind(block.encode())
        .bind(block.kinds()),
    )
    .await
    .map(drop)
}

async fn remove(tx: &mut Tx, id: i64) -> Result<()> {
    tx.execute(query("delete from request_log_blocks where id = $1").bind(id))
        .await
        .map(drop)
}

pub(super) async fn forget(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64> {
    let mut left = u64::from(limit);
    while left > 0 {
        let statement = query(
            "select id, requests, last_at from request_log_blocks where first_at < $1 order by first_at, id limit 1",
        );
        let Some(row) = tx.row(statement.bind(before)).await? else {
            break;
        };
        let (id, requests) = (row.get("id")?, row.unsigned("requests")?);
        if row.instant("last_at")? < before && requests <= left {
            remove(tx, id).await?;
            left -= requests;
        } else if let Some(mut block) = read(&mut Db::Tx(tx), id).await? {
            let forgotten = block.forget(before, left);
            put(tx, id, &block).await?;
            if forgotten == 0 {
                break;
            }
            left -= forgotten;
        }
    }
    Ok(u64::from(limit) - left)
}

/// The requests that were found, in their order, without those that were forgotten meanwhile. Requests of one block stand
/// together mostly, so that few are read twice.
pub(super) async fn pick(db: &mut Db<'_>, mut found: Vec<Found>) -> Result<Vec<LoggedRequest>> {
    let mut picked = Vec::with_capacity(found.len());
    while !found.is_empty() {
        let mut ids = BTreeSet::new();
        let is_read = |it: &&Found| {
            it.logged.is_some()
                || ids.contains(&it.block)
                || ids.len() < MOST_AT_ONCE && ids.insert(it.block)
        };
        let amount = found.iter().take_while(is_read).count();
        let blocks = read_all(db, ids).await?;
        picked.extend(found.drain(..amount).filter_map(|it| match it.logged {
            Some(logged) => Some(*logged),
            None => blocks.get(&it.block)?.find(it.request),
        }));
    }
    Ok(picked)
}

/// Blocks by their ids.
async fn read_all(db: &mut Db<'_>, ids: BTreeSet<i64>) -> Result<BTreeMap<i64, Block>> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut statement = query("select id, content from request_log_blocks where id in ");
    statement.push_list(ids);
    let rows = db.rows(statement).await?;
    rows.iter()
        .map(|row| Ok((row.get("id")?, decode(row)?)))
        .collect()
}

fn decode(row: &Row) -> Result<Block> {
    Block::decode(&row.get::<Vec<u8>>("content")?)
}

fn bytes(id: RequestId) -> Vec<u8> {
    id.uuid().into_bytes().to_vec()
}
