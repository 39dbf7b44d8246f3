//! The request log, which the fold writes, and its hourly sums.

pub mod stats;

use tollgate_domain::Timestamp;
use tollgate_domain::Usd;
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome};
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::usage::{ServiceTier, TokenUsage};

use crate::error::Result;
use crate::page::PageRequest;
use crate::sql::{Query, Row, corrupt, query};
use crate::tx::{Db, Tx};

/// Microseconds in an hour.
const HOUR: i64 = 3_600_000_000;

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// Admitted at this instant or later.
    pub from: Option<Timestamp>,
    /// Admitted before this instant.
    pub to: Option<Timestamp>,
    /// With this key.
    pub key: Option<VirtualKeyId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Paid by a copy of this profile.
    pub profile: Option<ProfileId>,
    /// Sent to this provider.
    pub provider: Option<ProviderName>,
    /// For this model.
    pub model: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
}

/// A row of the request log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Who asked for what, who paid, and how it ended.
    pub entry: LogEntry,
    /// When a charge in doubt was corrected.
    pub resolved_at: Option<Timestamp>,
}

const SELECT: &str = "select request_id, at, key_id, user_id, copy_id, profile_id, profile_version, provider, model, \
                      endpoint, is_stream, is_bound, reserved_cost, reserved_tokens, ended_at, outcome, status, \
                      error_code, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, \
                      audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, service_tier, cost, \
                      duration_micros, first_byte_micros, attempts, resolved_at from request_log where true";

/// One request.
pub async fn find(db: impl Into<Db<'_>>, id: RequestId) -> Result<Option<LoggedRequest>> {
    let mut statement = query(SELECT);
    statement.push(" and request_id = ");
    statement.push_value(id.to_string());
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The requests that `filter` lets through, newest first. How many there are in all is [`count`]'s to say.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &LogFilter,
    page: PageRequest,
) -> Result<Vec<LoggedRequest>> {
    let mut rows = query(SELECT);
    push_filter(&mut rows, filter);
    rows.push(" order by at desc, request_id desc");
    rows.push_page(page);
    db.into().rows(rows).await?.iter().map(read).collect()
}

/// How many requests `filter` lets through. Whole hours are read from the hourly sums and only what is left at either
/// end from the log, so that a long log is not counted.
pub async fn count(db: impl Into<Db<'_>>, filter: &LogFilter) -> Result<u64> {
    let mut db = db.into();
    // Rows that were forgotten are still in the sums.
    let oldest = db
        .row(query("select at from request_log order by at limit 1"))
        .await?;
    let Some(oldest) = oldest else {
        return Ok(0);
    };
    let oldest = oldest.instant("at")?;
    let from = filter.from.map_or(oldest, |from| from.max(oldest));
    let to = filter.to.unwrap_or(Timestamp::MAX);
    let first_hour = Timestamp::from_micros(from.as_micros().saturating_add(HOUR - 1))
        .as_micros()
        .div_euclid(HOUR)
        .saturating_mul(HOUR);
    let last_hour = to.as_micros().div_euclid(HOUR).saturating_mul(HOUR);
    if first_hour >= last_hour {
        return count_rows(&mut db, filter, from, to).await;
    }
    let (first_hour, last_hour) = (
        Timestamp::from_micros(first_hour),
        Timestamp::from_micros(last_hour),
    );
    let mut whole = query(
        "select cast(coalesce(sum(requests), 0) as bigint) as amount from usage_hourly where hour >= ",
    );
    whole.push_value(first_hour);
    whole.push(" and hour < ");
    whole.push_value(last_hour);
    push_dimensions(&mut whole, filter);
    Ok(db.count(whole).await?
        + count_rows(&mut db, filter, from, first_hour).await?
        + count_rows(&mut db, filter, last_hour, to).await?)
}

async fn count_rows(
    db: &mut Db<'_>,
    filter: &LogFilter,
    from: Timestamp,
    to: Timestamp,
) -> Result<u64> {
    let mut rows = query("select count(*) as amount from request_log where at >= ");
    rows.push_value(from);
    rows.push(" and at < ");
    rows.push_value(to);
    push_dimensions(&mut rows, filter);
    db.count(rows).await
}

/// Requests that were charged in doubt and are not corrected, oldest first.
pub async fn in_doubt(db: impl Into<Db<'_>>, page: PageRequest) -> Result<Vec<LoggedRequest>> {
    let mut rows = query(SELECT);
    rows.push(
        " and request_id in (select request_id from in_doubt where resolved_at is null) order by at, request_id",
    );
    rows.push_page(page);
    db.into().rows(rows).await?.iter().map(read).collect()
}

/// Removes rows of requests that were admitted before `before`, at most `limit`; hourly sums and counters stay. Returns
/// how many; callers go on until there are none.
pub async fn forget(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64> {
    tx.execute(
        query(
            "delete from request_log where request_id in
                 (select request_id from request_log where at < $1 order by at limit $2)",
        )
        .bind(before)
        .bind(i64::from(limit)),
    )
    .await
}

fn push_filter(query: &mut Query, filter: &LogFilter) {
    if let Some(from) = filter.from {
        query.push(" and at >= ");
        query.push_value(from);
    }
    if let Some(to) = filter.to {
        query.push(" and at < ");
        query.push_value(to);
    }
    push_dimensions(query, filter);
}

/// Conditions on columns that the log and its hourly sums share.
fn push_dimensions(query: &mut Query, filter: &LogFilter) {
    if let Some(profile) = filter.profile {
        query.push(" and profile_id = ");
        query.push_value(profile.0);
    }
    let texts = [
        (" and key_id = ", filter.key.map(|id| id.to_string())),
        (" and user_id = ", filter.user.map(|id| id.to_string())),
        (
            " and provider = ",
            filter.provider.as_ref().map(ToString::to_string),
        ),
        (" and model = ", filter.model.clone()),
        (
            " and outcome = ",
            filter.outcome.map(|outcome| outcome.as_str().to_owned()),
        ),
    ];
    for (condition, value) in texts {
        if let Some(value) = value {
            query.push(condition);
            query.push_value(value);
        }
    }
}

fn read(row: &Row) -> Result<LoggedRequest> {
    let facts = HoldFacts {
        request: row.parse("request_id")?,
        at: row.instant("at")?,
        key: row.parse("key_id")?,
        user: row.parse_opt("user_id")?,
        copy: row.parse_opt("copy_id")?,
        profile: row.get::<Option<i64>>("profile_id")?.map(ProfileId),
        profile_version: row.get("profile_version")?,
        provider: row.parse("provider")?,
        model: row.get("model")?,
        endpoint: Endpoint::parse(&row.get::<String>("endpoint")?)
            .ok_or_else(|| corrupt("endpoint", "unknown endpoint"))?,
        is_stream: row.get("is_stream")?,
        is_bound: row.get("is_bound")?,
        reserved_cost: Usd::from_nanos(row.get("reserved_cost")?),
        reserved_tokens: row.unsigned("reserved_tokens")?,
    };
    let ending = Ending {
        at: row.instant("ended_at")?,
        outcome: Outcome::parse(&row.get::<String>("outcome")?)
            .ok_or_else(|| corrupt("outcome", "unknown outcome"))?,
        status: u16::try_from(row.get::<i64>("status")?)
            .map_err(|error| corrupt("status", error))?,
        error_code: row.get("error_code")?,
        usage: TokenUsage {
            input: row.unsigned("input_tokens")?,
            cache_read: row.unsigned("cache_read_tokens")?,
            cache_write_5m: row.unsigned("cache_write_5m_tokens")?,
            cache_write_1h: row.unsigned("cache_write_1h_tokens")?,
            audio_input: row.unsigned("audio_input_tokens")?,
            output: row.unsigned("output_tokens")?,
            reasoning: row.unsigned("reasoning_tokens")?,
            audio_output: row.unsigned("audio_output_tokens")?,
            tier: ServiceTier::parse(&row.get::<String>("service_tier")?)
                .ok_or_else(|| corrupt("service_tier", "unknown tier"))?,
        },
        cost: Usd::from_nanos(row.get("cost")?),
        duration_micros: row.unsigned("duration_micros")?,
        first_byte_micros: row
            .get::<Option<i64>>("first_byte_micros")?
            .and_then(|micros| u64::try_from(micros).ok()),
        attempts: u32::try_from(row.get::<i64>("attempts")?)
            .map_err(|error| corrupt("attempts", error))?,
    };
    Ok(LoggedRequest {
        entry: LogEntry { facts, ending },
        resolved_at: row.instant_opt("resolved_at")?,
    })
}
