//! Requests that were charged in doubt, which the fold writes: what an administrator looks through and corrects.

use tollgate_domain::accounting::OpenHold;
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::{Timestamp, Usd};

use crate::error::Result;
use crate::fold::facts::read_hold;
use crate::page::{Counted, Page, PageRequest};
use crate::request_log::LogFilter;
use crate::request_log::sums::push_dimensions;
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

const LIST: Counted = Counted {
    table: "in_doubt",
    select: SELECT,
    order: "at desc, request_id desc",
};

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
    let filtered = |query: &mut Query| push_filter(query, filter);
    LIST.page(&mut db.into(), filtered, page, read).await
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
    let of_the_log = LogFilter {
        key: filter.key,
        user: filter.user,
        profile: filter.profile,
        provider: filter.provider.clone(),
        model: filter.model.clone(),
        search: filter.search.clone(),
        ..LogFilter::default()
    };
    push_dimensions(query, &of_the_log);
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
