//! Sums over the request log, read from the hourly sums: an hour counts whole, by when its requests were admitted.

use tollgate_domain::{Timestamp, Usd};

use super::LogFilter;
use super::hours::{HOUR, push_dimensions, table};
use crate::error::Result;
use crate::sql::{Query, Row, query};
use crate::tx::Db;

/// Sums of some requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSums {
    /// How many there were, refused ones included.
    pub requests: u64,
    /// How many of them were refused.
    pub refused: u64,
    /// How many of them failed upstream.
    pub failed: u64,
    /// Input tokens of every kind.
    pub input_tokens: u64,
    /// Output tokens of every kind.
    pub output_tokens: u64,
    /// What they cost.
    pub cost: Usd,
    /// How long they took together, in microseconds.
    pub duration_micros: u64,
}

/// By what sums are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The hour, as microseconds since the Unix epoch.
    Hour,
    /// The key.
    Key,
    /// The user; empty for requests of keys without one.
    User,
    /// The profile; 0 for requests that no profile paid for.
    Profile,
    /// The provider.
    Provider,
    /// The model.
    Model,
    /// How the requests ended.
    Outcome,
}

impl GroupBy {
    /// The column, as text on both engines.
    const fn column(self) -> &'static str {
        match self {
            Self::Hour => "cast(hour as text)",
            Self::Key => "key_id",
            Self::User => "user_id",
            Self::Profile => "cast(profile_id as text)",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Outcome => "outcome",
        }
    }
}

/// The sums of PostgreSQL are of a wider type than the columns, so they are cast back.
const SUMS: &str = "cast(coalesce(sum(requests), 0) as bigint) as requests,
    cast(coalesce(sum(case when outcome = 'refused' then requests else 0 end), 0) as bigint) as refused,
    cast(coalesce(sum(case when outcome = 'failed' then requests else 0 end), 0) as bigint) as failed,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(cost), 0) as bigint) as cost,
    cast(coalesce(sum(duration_micros), 0) as bigint) as duration_micros
    from ";

/// The sums of all requests in the hours that `filter` touches.
pub async fn total(db: impl Into<Db<'_>>, filter: &LogFilter) -> Result<UsageSums> {
    let mut statement = query("select ");
    statement.push(SUMS);
    statement.push(table(filter));
    push_filter(&mut statement, filter);
    let row = db.into().row(statement).await?;
    row.map_or_else(|| Ok(UsageSums::default()), |row| read(&row))
}

/// The sums in the hours that `filter` touches, split by `by`, at most `limit`: hours in their order, everything else
/// by cost, dearest first.
pub async fn grouped(
    db: impl Into<Db<'_>>,
    filter: &LogFilter,
    by: GroupBy,
    limit: u32,
) -> Result<Vec<(String, UsageSums)>> {
    let mut statement = query("select ");
    statement.push(by.column());
    statement.push(" as group_name, ");
    statement.push(SUMS);
    statement.push(match by {
        GroupBy::Key | GroupBy::User => "usage_hourly",
        _ => table(filter),
    });
    push_filter(&mut statement, filter);
    statement.push(" group by 1 order by ");
    statement.push(match by {
        GroupBy::Hour => "min(hour)",
        _ => "sum(cost) desc, 1",
    });
    statement.push(" limit ");
    statement.push_value(i64::from(limit));
    db.into()
        .rows(statement)
        .await?
        .iter()
        .map(|row| Ok((row.get("group_name")?, read(row)?)))
        .collect()
}

fn push_filter(query: &mut Query, filter: &LogFilter) {
    query.push(" where true");
    if let Some(from) = filter.from {
        query.push(" and hour > ");
        query.push_value(Timestamp::from_micros(
            from.as_micros().saturating_sub(HOUR),
        ));
    }
    if let Some(to) = filter.to {
        query.push(" and hour < ");
        query.push_value(to);
    }
    push_dimensions(query, filter);
}

fn read(row: &Row) -> Result<UsageSums> {
    Ok(UsageSums {
        requests: row.unsigned("requests")?,
        refused: row.unsigned("refused")?,
        failed: row.unsigned("failed")?,
        input_tokens: row.unsigned("input_tokens")?,
        output_tokens: row.unsigned("output_tokens")?,
        cost: Usd::from_nanos(row.get("cost")?),
        duration_micros: row.unsigned("duration_micros")?,
    })
}
