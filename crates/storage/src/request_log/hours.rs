//! What the hourly sums know of a filter: how many requests it lets through in which hours.
//!
//! There are two tables of sums. One is split by everything; the other leaves keys and users out, of which there may be
//! many, and serves everything that asks for neither.

use tollgate_domain::Timestamp;

use super::LogFilter;
use crate::error::Result;
use crate::search;
use crate::sql::{Query, query};
use crate::tx::Db;

/// Microseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000_000;

/// Hours that are read at once.
const MOST_AT_ONCE: i64 = 500;

/// An hour with requests that a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BusyHour {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) requests: u64,
}

/// The start of the hour that `at` is in.
pub(crate) const fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros().div_euclid(HOUR).saturating_mul(HOUR))
}

/// The smallest table with sums that `filter` can be asked of.
pub(super) const fn table(filter: &LogFilter) -> &'static str {
    if filter.key.is_some() || filter.user.is_some() {
        "usage_hourly"
    } else {
        "usage_hourly_totals"
    }
}

/// The newest hours between `from` and `to`, newest first. Those at the ends may be in it in part.
pub(super) async fn busy(
    db: &mut Db<'_>,
    filter: &LogFilter,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<BusyHour>> {
    let mut statement = query("select hour, cast(sum(requests) as bigint) as requests from ");
    statement.push(table(filter));
    statement.push(" where hour >= ");
    statement.push_value(hour_of(from));
    statement.push(" and hour < ");
    statement.push_value(to);
    push_dimensions(&mut statement, filter);
    statement.push(" group by hour order by hour desc limit ");
    statement.push_value(MOST_AT_ONCE);
    let rows = db.rows(statement).await?;
    rows.iter()
        .map(|row| {
            let start = row.instant("hour")?;
            Ok(BusyHour {
                start,
                end: start.saturating_add_micros(HOUR),
                requests: row.unsigned("requests")?,
            })
        })
        .collect()
}

/// How many requests there are in the whole hours from `from` and before `to`.
pub(super) async fn sum(
    db: &mut Db<'_>,
    filter: &LogFilter,
    from: Timestamp,
    to: Timestamp,
) -> Result<u64> {
    let mut statement = query("select cast(coalesce(sum(requests), 0) as bigint) as amount from ");
    statement.push(table(filter));
    statement.push(" where hour >= ");
    statement.push_value(from);
    statement.push(" and hour < ");
    statement.push_value(to);
    push_dimensions(&mut statement, filter);
    db.count(statement).await
}

/// Conditions on the columns of the sums.
pub(super) fn push_dimensions(query: &mut Query, filter: &LogFilter) {
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
    if let Some(pattern) = search::pattern(filter.search.as_deref()) {
        search::push_any(query, &["provider", "lower(model)"], &pattern);
    }
}
