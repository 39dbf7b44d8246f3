//! Sums over requests: totals, statistics and the places of pages are read from them instead of the log.
//!
//! The same requests are summed up many times: by the hour, the day and the *stretch* of 32 days in which they were
//! admitted, and [`Split`] by everything that a filter can name, by one such thing alone, or by nothing. So any question
//! has sums that are hardly finer than its answer, and a time is put together of the widest spans that fit.

use tollgate_domain::Timestamp;

use super::{LogFilter, SearchIn};
use crate::error::Result;
use crate::search;
use crate::sql::{Query, query};
use crate::tx::Db;

/// Microseconds in an hour.
pub(super) const HOUR: i64 = 3_600_000_000;
/// Longer than any time that a log has; a multiple of every span.
const EVER: i64 = 1_000_000 * Span::Stretch.micros();
/// A run of so many spans is asked for one by one: the days of a stretch and one more, and the stretches of years.
const MOST_NAMED: i64 = 64;

/// How much time a sum is of. Each is a multiple of the finer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    Hour,
    Day,
    /// 32 days.
    Stretch,
}

impl Span {
    pub(crate) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Stretch];

    /// In hours, which is how it is stored.
    pub(crate) const fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
            Self::Stretch => 32 * 24,
        }
    }

    const fn micros(self) -> i64 {
        self.hours() * HOUR
    }

    pub(super) const fn finer(self) -> Option<Self> {
        match self {
            Self::Hour => None,
            Self::Day => Some(Self::Hour),
            Self::Stretch => Some(Self::Day),
        }
    }

    /// The start of the span of this width that `at` is in.
    pub(crate) fn start_of(self, at: Timestamp) -> Timestamp {
        let at = at.as_micros().clamp(-EVER, EVER);
        Timestamp::from_micros(at.div_euclid(self.micros()) * self.micros())
    }

    /// How many such spans there are from `from` to `to`, begun ones included.
    pub(super) fn number_in(self, from: Timestamp, to: Timestamp) -> u64 {
        let length = to.as_micros().saturating_sub(from.as_micros()).max(0);
        length.unsigned_abs().div_ceil(self.micros().unsigned_abs())
    }

    /// The start of the span that lies `spans` before the one that `to` ends.
    pub(super) fn before(self, to: Timestamp, spans: i64) -> Timestamp {
        let micros = self.micros().saturating_mul(spans);
        self.start_of(to.saturating_add_micros(micros.saturating_neg()))
    }

    /// The first start of such a span at `at` or later.
    pub(super) fn first_from(self, at: Timestamp) -> Timestamp {
        self.start_of(at.saturating_add_micros(self.micros() - 1))
    }
}

/// What requests can be told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dimension {
    Key,
    User,
    Profile,
    Provider,
    Model,
    Outcome,
}

/// By what a set of sums is split. Columns of what it is not split by are empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Split {
    /// Not at all.
    Nothing,
    Key,
    User,
    Profile,
    Provider,
    Model,
    Outcome,
    /// By all but keys and users, of which there may be many.
    Anonymous,
    Everything,
}

impl Split {
    /// The coarsest first.
    pub(crate) const ALL: [Self; 9] = [
        Self::Nothing,
        Self::Key,
        Self::User,
        Self::Profile,
        Self::Provider,
        Self::Model,
        Self::Outcome,
        Self::Anonymous,
        Self::Everything,
    ];

    /// As it is stored.
    pub(crate) const fn code(self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Key => 1,
            Self::User => 2,
            Self::Profile => 3,
            Self::Provider => 4,
            Self::Model => 5,
            Self::Outcome => 6,
            Self::Anonymous => 7,
            Self::Everything => 8,
        }
    }

    pub(crate) const fn has(self, dimension: Dimension) -> bool {
        match self {
            Self::Everything => true,
            Self::Anonymous => !matches!(dimension, Dimension::Key | Dimension::User),
            Self::Nothing => false,
            Self::Key => matches!(dimension, Dimension::Key),
            Self::User => matches!(dimension, Dimension::User),
            Self::Profile => matches!(dimension, Dimension::Profile),
            Self::Provider => matches!(dimension, Dimension::Provider),
            Self::Model => matches!(dimension, Dimension::Model),
            Self::Outcome => matches!(dimension, Dimension::Outcome),
        }
    }

    /// The coarsest that `filter` can be asked of, and that tells apart by `by`.
    pub(super) fn of(filter: &LogFilter, by: Option<Dimension>) -> Self {
        let searched = |is_in: bool| filter.search.is_some() && is_in;
        let asked = [
            (filter.key.is_some(), Dimension::Key),
            (filter.user.is_some(), Dimension::User),
            (filter.profile.is_some(), Dimension::Profile),
            (
                filter.provider.is_some() || searched(filter.search_in.has_providers()),
                Dimension::Provider,
            ),
            (
                filter.model.is_some() || searched(filter.search_in.has_models()),
                Dimension::Model,
            ),
            (filter.outcome.is_some(), Dimension::Outcome),
        ];
        let needed = |split: &Self| {
            asked
                .iter()
                .filter(|(is_asked, dimension)| *is_asked || by == Some(*dimension))
                .all(|(_, dimension)| split.has(*dimension))
        };
        Self::ALL
            .into_iter()
            .find(needed)
            .unwrap_or(Self::Everything)
    }
}

/// Spans of one width in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) span: Span,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Run {
    /// The whole hours from `from` and before `to`, one by one.
    pub(super) fn of_hours(from: Timestamp, to: Timestamp) -> Self {
        Self {
            span: Span::Hour,
            from: Span::Hour.first_from(from),
            to: Span::Hour.start_of(to),
        }
    }

    /// When each of its spans starts, unless they are many.
    fn starts(self) -> Option<impl Iterator<Item = Timestamp>> {
        let spans = self.span.number_in(self.from, self.to);
        let spans = i64::try_from(spans).ok().filter(|it| *it <= MOST_NAMED)?;
        let start = move |number| (self.from).saturating_add_micros(number * self.span.micros());
        Some((0..spans).map(start))
    }

    /// The whole hours from `from` and before `to`, in the widest spans that they make.
    pub(super) fn cover(from: Timestamp, to: Timestamp) -> Vec<Self> {
        let Self { from, to, .. } = Self::of_hours(from, to);
        let mut runs = Vec::new();
        cover(Span::Stretch, from, to, &mut runs);
        runs
    }
}

fn cover(span: Span, from: Timestamp, to: Timestamp, runs: &mut Vec<Run>) {
    if from >= to {
        return;
    }
    let Some(finer) = span.finer() else {
        runs.push(Run { span, from, to });
        return;
    };
    let (first, last) = (span.first_from(from), span.start_of(to));
    if first < last {
        cover(finer, from, first, runs);
        runs.push(Run {
            span,
            from: first,
            to: last,
        });
        cover(finer, last, to, runs);
    } else {
        cover(finer, from, to, runs);
    }
}

/// A span with requests that a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy {
    pub(super) span: Span,
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
    pub(super) requests: u64,
    /// No block before the first nor after the last has one of them. Sums of earlier releases do not know.
    pub(super) blocks: Option<(i64, i64)>,
}

/// The spans with such requests in these times, each from an instant and before another; oldest first. Those at the ends
/// of a time may be in it in part.
pub(super) async fn busy(
    db: &mut Db<'_>,
    filter: &LogFilter,
    span: Span,
    times: &[(Timestamp, Timestamp)],
) -> Result<Vec<Busy>> {
    let mut statement = query(
        "select start, cast(sum(requests) as bigint) as requests, min(first_block) as first_block,
             case when count(last_block) = count(*) then max(last_block) end as last_block
         from usage_sums where ",
    );
    let run = |(from, to): &(Timestamp, Timestamp)| Run {
        span,
        from: span.start_of(*from),
        to: *to,
    };
    let runs: Vec<Run> = times.iter().map(run).collect();
    push_condition(&mut statement, filter, Split::of(filter, None), span, &runs);
    statement.push(" group by start order by start");
    let rows = db.rows(statement).await?;
    rows.iter()
        .map(|row| {
            let start = row.instant("start")?;
            Ok(Busy {
                span,
                start,
                end: start.saturating_add_micros(span.micros()),
                requests: row.unsigned("requests")?,
                blocks: row
                    .get::<Option<i64>>("first_block")?
                    .zip(row.get("last_block")?),
            })
        })
        .collect()
}

/// How many requests there are in the whole hours from `from` and before `to`.
pub(super) async fn count(
    db: &mut Db<'_>,
    filter: &LogFilter,
    from: Timestamp,
    to: Timestamp,
) -> Result<u64> {
    let mut statement = query("select cast(coalesce(sum(requests), 0) as bigint) as amount from ");
    push_runs(
        &mut statement,
        filter,
        Split::of(filter, None),
        &Run::cover(from, to),
    );
    db.count(statement).await
}

/// Appends what a statement reads the sums of these runs from.
pub(super) fn push_runs(query: &mut Query, filter: &LogFilter, split: Split, runs: &[Run]) {
    let mut separator = "(";
    for run in runs {
        query.push(separator);
        query.push(
            "select start, key_id, user_id, profile_id, provider, model, outcome, requests, refused, failed,
                 input_tokens, output_tokens, cost, duration_micros
             from usage_sums where ",
        );
        push_condition(query, filter, split, run.span, &[*run]);
        separator = " union all ";
    }
    query.push(if runs.is_empty() {
        "(select * from usage_sums where false) as sums"
    } else {
        ") as sums"
    });
}

/// Appends which sums are those of these runs, all of the same span.
fn push_condition(query: &mut Query, filter: &LogFilter, split: Split, span: Span, runs: &[Run]) {
    query.push("split = ");
    query.push_value(split.code());
    query.push(" and span = ");
    query.push_value(span.hours());
    // The primary key has the columns in this order: with a value for each before it, a condition on a later one says
    // where to look instead of what to leave out.
    if let Some(starts) = runs
        .iter()
        .map(|run| run.starts())
        .collect::<Option<Vec<_>>>()
    {
        query.push(" and start in ");
        query.push_list(starts.into_iter().flatten());
    } else {
        let mut separator = " and (";
        for run in runs {
            query.push(separator);
            query.push("start >= ");
            query.push_value(run.from);
            query.push(" and start < ");
            query.push_value(run.to);
            separator = " or ";
        }
        query.push(")");
    }
    for (dimension, is_empty) in EMPTY {
        if !split.has(dimension) {
            query.push(is_empty);
        }
    }
    push_dimensions(query, filter);
}

/// What a sum has in the column of what it is not split by.
const EMPTY: [(Dimension, &str); 6] = [
    (Dimension::Key, " and key_id = ''"),
    (Dimension::User, " and user_id = ''"),
    (Dimension::Profile, " and profile_id = 0"),
    (Dimension::Provider, " and provider = ''"),
    (Dimension::Model, " and model = ''"),
    (Dimension::Outcome, " and outcome = ''"),
];

/// Conditions on columns that say who asked for what, which all tables name alike.
pub(crate) fn push_dimensions(query: &mut Query, filter: &LogFilter) {
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
        let names: &[&str] = match filter.search_in {
            SearchIn::ProvidersAndModels => &["provider", "lower(model)"],
            SearchIn::Providers => &["provider"],
            SearchIn::Models => &["lower(model)"],
        };
        search::push_any(query, names, &pattern);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * HOUR)
    }

    #[test]
    fn a_time_is_covered_once_by_the_widest_spans() {
        for (from, to, expected) in [
            (0, 768, 1),
            (1, 768, 2),
            (767, 769, 1),
            (5, 1_600, 5),
            (-24, 24, 1),
            (3, 3, 0),
            (9, 3, 0),
        ] {
            let runs = Run::cover(hours(from), hours(to));
            assert_eq!(runs.len(), expected, "{from} to {to}: {runs:?}");
            let mut reached = hours(from);
            for run in runs {
                assert_eq!((run.from, run.span.start_of(run.from)), (reached, run.from));
                assert_eq!(run.span.start_of(run.to), run.to);
                reached = run.to;
            }
            assert_eq!(reached, hours(to.max(from)));
        }
    }

    #[test]
    fn a_time_without_ends_is_covered_by_stretches() {
        let runs = Run::cover(Timestamp::MIN, Timestamp::MAX);
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].span, Span::Stretch);
    }

    #[test]
    fn parts_of_hours_are_left_out() {
        let from = Timestamp::from_micros(1);
        let to = Timestamp::from_micros(3 * HOUR - 1);
        assert_eq!(
            Run::of_hours(from, to),
            Run {
                span: Span::Hour,
                from: hours(1),
                to: hours(2)
            }
        );
    }

    #[test]
    fn the_coarsest_sums_answer() {
        let key = tollgate_domain::ids::VirtualKeyId::from_uuid(uuid::Uuid::nil());
        let none = LogFilter::default();
        let of_key = LogFilter {
            key: Some(key),
            ..none.clone()
        };
        let searched = LogFilter {
            search: Some("gpt".to_owned()),
            ..none.clone()
        };
        assert_eq!(Split::of(&none, None), Split::Nothing);
        assert_eq!(Split::of(&none, Some(Dimension::Model)), Split::Model);
        assert_eq!(Split::of(&of_key, None), Split::Key);
        assert_eq!(Split::of(&of_key, Some(Dimension::Key)), Split::Key);
        assert_eq!(
            Split::of(&of_key, Some(Dimension::Model)),
            Split::Everything
        );
        assert_eq!(Split::of(&searched, None), Split::Anonymous);
        for (search_in, split) in [
            (SearchIn::Providers, Split::Provider),
            (SearchIn::Models, Split::Model),
        ] {
            let searched = LogFilter {
                search_in,
                ..searched.clone()
            };
            assert_eq!(Split::of(&searched, None), split);
        }
    }
}
