//! Which new line is which old one: usage follows a line's id.

use tollgate_domain::IdSource;
use tollgate_domain::ids::{BudgetId, RateLimitId};
use tollgate_domain::limits::{BudgetLine, RateLimitLine};

use super::input::{BudgetInput, RateLimitInput};

/// The new lines. A line keeps an old id when it names it, or else takes, in order, the id of an old line with the same
/// duration and quarter start that no other line has taken.
pub(crate) fn merge_budgets(
    old: &[BudgetLine],
    new: &[BudgetInput],
    ids: &dyn IdSource,
) -> Vec<BudgetLine> {
    let mut free: Vec<&BudgetLine> = old.iter().collect();
    let named: Vec<Option<BudgetId>> = new
        .iter()
        .map(|line| {
            let id = line.id.as_ref()?.parse().ok()?;
            let at = free.iter().position(|old| old.id == id)?;
            Some(free.remove(at).id)
        })
        .collect();
    new.iter()
        .zip(named)
        .map(|(line, named)| BudgetLine {
            id: named
                .or_else(|| take_alike(&mut free, line))
                .unwrap_or_else(|| BudgetId::from_uuid(ids.next_uuid())),
            max_limit: line.max_limit,
            reset_duration: line.reset_duration.0,
            quarter_start_month: line.quarter_start_month(),
        })
        .collect()
}

fn take_alike(free: &mut Vec<&BudgetLine>, line: &BudgetInput) -> Option<BudgetId> {
    let at = free.iter().position(|old| {
        old.reset_duration == line.reset_duration.0
            && old.quarter_start_month.unwrap_or(1) == line.quarter_start_month().unwrap_or(1)
    })?;
    Some(free.remove(at).id)
}

/// The new rate limit, in the place of the old one and with its id.
pub(crate) fn merge_rate_limit(
    old: Option<&RateLimitLine>,
    new: &RateLimitInput,
    ids: &dyn IdSource,
) -> RateLimitLine {
    let pair = |max: Option<u64>, duration: Option<super::input::RateDuration>| {
        max.zip(duration).map(|(max, duration)| (max, duration.0))
    };
    RateLimitLine {
        id: old.map_or_else(|| RateLimitId::from_uuid(ids.next_uuid()), |old| old.id),
        tokens: pair(new.token_max_limit, new.token_reset_duration),
        requests: pair(new.request_max_limit, new.request_reset_duration),
        parallel_requests: new.max_parallel_requests,
    }
}
