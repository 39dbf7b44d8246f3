//! Statistics of the request log: an hour counts whole, by when its requests were admitted.

use tollgate_domain::{Timestamp, Usd};

use super::LogFilter;
use super::sums::{Dimension, Run, Span, Split, push_runs};
use crate::error::Result;
use crate::sql::{Row, query};
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
            Self::Hour => "cast(start as text)",
            Self::Key => "key_id",
            Self::User => "user_id",
            Self::Profile => "cast(profile_id as text)",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Outcome => "outcome",
        }
    }

    const fn dimension(self) -> Option<Dimension> {
        Some(match self {
            Self::Hour => return None,
            Self::Key => Dimension::Key,
            Self::User => Dimension::User,
            Self::Profile => Dimension::Profile,
            Self::Provider => Dimension::Provider,
            Self::Model => Dimension::Model,
            Self::Outcome => Dimension::Outcome,
        })
    }
}

/// The sums of PostgreSQL are of a wider type than the columns, so they are cast back.
const SUMS: &str = "cast(coalesce(sum(requests), 0) as bigint) as requests,
    cast(coalesce(sum(refused), 0) as bigint) as refused,
    cast(coalesce(sum(failed), 0) as bigint) as failed,
    cast(coalesce(sum(input_tokens), 0) as bigint) as input_tokens,
    cast(coalesce(sum(output_tokens), 0) as bigint) as output_tokens,
    cast(coalesce(sum(cost), 0) as bigint) as cost,
    cast(coalesce(sum(duration_micros), 0) as bigint) as duration_micros
    from ";

/// The sums of all requests in the hours that `filter` touches.
pub async fn total(db: impl Into<Db<'_>>, filter: &LogFilter) -> Result<UsageSums> {
    let mut statement = query("select ");
    statement.push(SUMS);
    let (from, to) = touched(filter);
    push_runs(
        &mut statement,
        filter,
        Split::of(filter, None),
        &Run::cover(from, to),
    );
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
    let (from, to) = touched(filter);
    let runs = match by {
        GroupBy::Hour => vec![Run::of_hours(from, to)],
        _ => Run::cover(from, to),
    };
    let split = Split::of(filter, by.dimension());
    push_runs(&mut statement, filter, split, &runs);
    statement.push(" group by 1 order by ");
    statement.push(match by {
        GroupBy::Hour => "min(start)",
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

/// The hours that a filter touches: from the start of the first to the end of the last.
fn touched(filter: &LogFilter) -> (Timestamp, Timestamp) {
    (
        filter
            .from
            .map_or(Timestamp::MIN, |from| Span::Hour.start_of(from)),
        filter
            .to
            .map_or(Timestamp::MAX, |to| Span::Hour.first_from(to)),
    )
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
