//! Which names have a part of a name.

use std::borrow::Cow;

use super::sums::{Span, Split};
use super::{LogFilter, SearchIn};
use crate::error::Result;
use crate::search;
use crate::sql::query;
use crate::tx::Db;

/// The same as `filter`, which looks for its text only where there is some: the sums of models alone, or of providers alone,
/// are far fewer than those of each with each.
pub(super) async fn narrowed<'a>(
    db: &mut Db<'_>,
    filter: &'a LogFilter,
) -> Result<Cow<'a, LogFilter>> {
    let pattern = search::pattern(filter.search.as_deref());
    let Some(pattern) = pattern.filter(|_| filter.search_in == SearchIn::ProvidersAndModels) else {
        return Ok(Cow::Borrowed(filter));
    };
    let mut statement = query("select ");
    for (split, name, result) in [
        (Split::Provider, "provider", " as providers, "),
        (Split::Model, "lower(model)", " as models"),
    ] {
        statement.push("(select count(*) from (select 1 as one from usage_sums where split = ");
        statement.push_value(split.code());
        statement.push(" and span = ");
        statement.push_value(Span::Stretch.hours());
        search::push_any(&mut statement, &[name], &pattern);
        statement.push(" limit 1) as found)");
        statement.push(result);
    }
    let Some(row) = db.row(statement).await? else {
        return Ok(Cow::Borrowed(filter));
    };
    let search_in = match (row.get::<i64>("providers")?, row.get::<i64>("models")?) {
        (0, _) => SearchIn::Models,
        (_, 0) => SearchIn::Providers,
        _ => return Ok(Cow::Borrowed(filter)),
    };
    Ok(Cow::Owned(LogFilter {
        search_in,
        ..filter.clone()
    }))
}
