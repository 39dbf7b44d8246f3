//! Requests that were charged in doubt, which the fold writes: what an administrator looks through and corrects.

use tollgate_domain::accounting::OpenHold;
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::{Timestamp, Usd};

use crate::error::Result;
use crate::fold::facts::read_hold;
use crate::page::{Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, query};
use crate::tx::Db;

/// Which of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InDoubtFilter {
    /// Only those that are corrected, or only those that are not.
    pub is_resolved: Option<bool>,
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
    /// With this in the provider's or model's name, regardless of case.
    pub search: Option<String>,
}

/// A request that was charged in doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// Who asked for what, and the counters that were charged. `facts.reserved_cost` is the amount.
    pub charged: OpenHold,
    /// When it ended; `None` in databases that are older than this column.
    pub ended_at: Option<Timestamp>,
    /// Why nobody knows what it cost: the code of its log row.
    pub error_code: Option<String>,
    /// When it was corrected, and to what.
    pub resolved: Option<(Timestamp, Usd)>,
}

const SELECT: &str = "select request_id, facts, charges, ended_at, error_code, resolved_at, resolved_cost \
                      from in_doubt where true";

/// The request with this id, if it was charged in doubt.
pub async fn find(db: impl Into<Db<'_>>, id: RequestId) -> Result<Option<InDoubt>> {
    let mut statement = query(SELECT);
    statement.push(" and request_id = ");
    statement.push_value(id.to_string());
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// The requests that `filter` lets through, newest first.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &InDoubtFilter,
    page: PageRequest,
) -> Result<Page<InDoubt>> {
    let mut db = db.into();
    let mut count = query("select count(*) as amount from in_doubt where true");
    push_filter(&mut count, filter);
    let total = db.count(count).await?;
    let mut rows = query(SELECT);
    push_filter(&mut rows, filter);
    rows.push(" order by at desc, request_id desc");
    rows.push_page(page);
    let items = db
        .rows(rows)
        .await?
        .iter()
        .map(read)
        .collect::<Result<_>>()?;
    Ok(Page { items, total })
}

fn push_filter(query: &mut Query, filter: &InDoubtFilter) {
    match filter.is_resolved {
        Some(true) => query.push(" and resolved_at is not null"),
        Some(false) => query.push(" and resolved_at is null"),
        None => {}
    }
    for (condition, instant) in [(" and at >= ", filter.from), (" and at < ", filter.to)] {
        if let Some(instant) = instant {
            query.push(condition);
            query.push_value(instant);
        }
    }
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

fn read(row: &Row) -> Result<InDoubt> {
    let charged = read_hold(row, "charges")?;
    let cost = row.get::<Option<i64>>("resolved_cost")?;
    let resolved = row.instant_opt("resolved_at")?.map(|at| {
        let cost = cost.map_or(charged.facts.reserved_cost, Usd::from_nanos);
        (at, cost)
    });
    Ok(InDoubt {
        ended_at: row.instant_opt("ended_at")?,
        error_code: row.get("error_code")?,
        resolved,
        charged,
    })
}
