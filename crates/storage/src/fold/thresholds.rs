//! Thresholds of limits that a piece of the journal reached: each is told once in each window.
//!
//! The counters are read after the piece was added to them, in the same transaction, and what was told is a row of it:
//! so a threshold is neither told twice nor forgotten, whenever the process dies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::accounting::{CounterAmount, CounterKey};
use tollgate_domain::ids::{AuditEntryId, ProfileId, UserId};
use tollgate_domain::limits::{Meter, MeterId, MeterKind, ResetDuration, WindowKey};
use tollgate_domain::{IdSource, Timestamp, Usd};

use super::facts::{duration, kind};
use super::{state, uuid};
use crate::audit::{self, NewAuditEntry};
use crate::error::Result;
use crate::sql::{Row, Value, query, to_json};
use crate::store::Store;
use crate::tx::{Db, Tx};

/// Rows a statement; far below the number of placeholders that both engines take.
const ROWS: usize = 500;
/// How long it is remembered what was told of a window that has ended, in microseconds: longer than any request runs.
const REMEMBERED: i64 = 35 * 86_400 * 1_000_000;
/// As the audit trail names it.
const ACTOR: &str = "tollgate (alerts)";

/// A limit with thresholds.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The limit.
    pub meter: Arc<Meter>,
    /// Percentages of the limit, ascending.
    pub percents: Arc<[u32]>,
    /// The profile that it comes from.
    pub profile: ProfileId,
    /// Whose copy it is in, when it is a user's.
    pub user: Option<UserId>,
}

/// What to look at while a piece of the journal is folded.
pub struct Watches<'a> {
    /// The limits, by what names their counters. Others are not looked at.
    pub by_meter: HashMap<MeterId, Watch>,
    /// The present.
    pub now: Timestamp,
    /// Where ids of audit entries come from.
    pub ids: &'a dyn IdSource,
}

/// What an alert says, besides whom it is about.
#[derive(Serialize)]
struct Alert<'a> {
    threshold_percent: u32,
    /// `money` (amounts are US dollars), `tokens` or `requests`.
    kind: &'static str,
    scope: &'a str,
    limit: Box<RawValue>,
    used: Box<RawValue>,
    reset_duration: ResetDuration,
    window_start: Timestamp,
    resets_at: Timestamp,
    holder: AlertHolder<'a>,
}

#[derive(Serialize)]
struct AlertHolder<'a> {
    kind: &'static str,
    id: &'a str,
    name: &'a str,
}

/// Tells of every threshold that the counters which `changes` touched have reached. Returns how many.
pub(super) async fn tell(
    tx: &mut Tx,
    changes: &[CounterAmount],
    watches: &Watches<'_>,
) -> Result<u64> {
    let touched: BTreeMap<CounterKey, (&Watch, &CounterAmount)> = changes
        .iter()
        .filter(|change| change.amount > 0)
        .filter_map(|change| {
            let watch = watches.by_meter.get(&meter_of(change.key))?;
            watch
                .counts_over(change.key.duration)
                .then_some((change.key, (watch, change)))
        })
        .collect();
    let mut reached = Vec::new();
    let touched: Vec<_> = touched.into_iter().collect();
    for piece in touched.chunks(ROWS) {
        let counts = counts(tx, piece).await?;
        for (key, (watch, change)) in piece {
            let used = counts.get(key).copied().unwrap_or_default();
            watch.reached(used, change, watches.now, &mut reached);
        }
    }
    tell_of(tx, &reached, watches).await
}

/// Tells of every threshold that running counters have reached, whatever brought them there: of limits that may have
/// become lower. Returns how many.
pub(super) async fn tell_of_running(store: &Store, watches: &Watches<'_>) -> Result<u64> {
    let watched: Vec<&Watch> = watches.by_meter.values().collect();
    let mut told = 0;
    for piece in watched.chunks(ROWS) {
        let counters = running(store, piece, watches.now).await?;
        let mut reached = Vec::new();
        for counter in &counters {
            let watch = watches.by_meter.get(&meter_of(counter.key));
            if let Some(watch) = watch.filter(|watch| watch.is_in_window(counter, watches.now)) {
                watch.reached(counter.amount, counter, watches.now, &mut reached);
            }
        }
        // Most often there is nothing, and nobody has to wait for it.
        if !reached.is_empty() {
            let mut tx = store.begin().await?;
            told += tell_of(&mut tx, &reached, watches).await?;
            let _nothing_to_publish = tx.commit().await?;
        }
    }
    Ok(told)
}

/// Tells of those that were not told of before.
async fn tell_of(tx: &mut Tx, reached: &[Reached<'_>], watches: &Watches<'_>) -> Result<u64> {
    let mut told = 0;
    for piece in reached.chunks(ROWS) {
        let new = remember(tx, piece, watches.now).await?;
        for each in piece
            .iter()
            .filter(|each| new.contains(&(each.change.key, each.percent)))
        {
            audit::append(tx, each.entry(watches)?).await?;
            told += 1;
        }
    }
    if told > 0 {
        forget(tx, watches.now).await?;
    }
    Ok(told)
}

const fn meter_of(key: CounterKey) -> MeterId {
    MeterId {
        line: key.line,
        kind: key.kind,
    }
}

impl Watch {
    /// The thresholds that `used` has reached go to `reached`.
    fn reached<'a>(
        &'a self,
        used: i64,
        change: &'a CounterAmount,
        now: Timestamp,
        reached: &mut Vec<Reached<'a>>,
    ) {
        let limit = self.meter.effective_limit(now);
        let over = self
            .percents
            .iter()
            .filter(|percent| is_reached(used, limit, **percent));
        reached.extend(over.map(|percent| Reached {
            watch: self,
            change,
            percent: *percent,
            used,
            limit,
        }));
    }

    /// Whether this is the limit's duration. What a request was admitted under before an edit of it counts there to its
    /// end, and says nothing of the new limit.
    fn counts_over(&self, duration: ResetDuration) -> bool {
        let window = self.meter.window.as_ref();
        window.is_some_and(|spec| spec.duration == duration)
    }

    /// Whether this is the counter that the limit counts on now.
    fn is_in_window(&self, counter: &CounterAmount, now: Timestamp) -> bool {
        let window = self.meter.window.as_ref();
        self.counts_over(counter.key.duration)
            && window.is_some_and(|spec| counter.key.window == spec.window(now).key)
    }
}

/// The counters of these limits whose window has not ended.
async fn running(store: &Store, piece: &[&Watch], now: Timestamp) -> Result<Vec<CounterAmount>> {
    let mut statement = query(state::COUNTERS);
    statement.push("window_end > ");
    statement.push_value(now);
    statement.push(" and line in ");
    statement.push_list(
        piece
            .iter()
            .map(|watch| watch.meter.id.line.as_bytes().as_slice()),
    );
    let rows = Db::from(store).rows(statement).await?;
    rows.iter().map(state::read_counter).collect()
}

/// Whether `used` is at least `percent` of `limit`. A limit of nothing has no part that could be reached.
fn is_reached(used: i64, limit: i64, percent: u32) -> bool {
    limit > 0 && i128::from(used) * 100 >= i128::from(limit) * i128::from(percent)
}

/// A threshold that a counter has reached, told or not.
struct Reached<'a> {
    watch: &'a Watch,
    change: &'a CounterAmount,
    percent: u32,
    used: i64,
    limit: i64,
}

impl Reached<'_> {
    fn entry(&self, watches: &Watches<'_>) -> Result<NewAuditEntry> {
        let meter = &self.watch.meter;
        let amount = |value: i64| {
            let text = match meter.id.kind {
                MeterKind::Money => Usd::from_nanos(value).to_string(),
                _ => value.to_string(),
            };
            RawValue::from_string(text).unwrap_or_default()
        };
        let alert = Alert {
            threshold_percent: self.percent,
            kind: meter.id.kind.as_str(),
            scope: &meter.scope,
            limit: amount(self.limit),
            used: amount(self.used),
            reset_duration: self.change.key.duration,
            window_start: self.change.start,
            resets_at: self.change.end,
            holder: AlertHolder {
                kind: meter.holder.kind.as_str(),
                id: &meter.holder.id,
                name: &meter.holder.name,
            },
        };
        Ok(NewAuditEntry {
            id: AuditEntryId::from_uuid(watches.ids.next_uuid()),
            at: watches.now,
            actor: ACTOR.to_owned(),
            action: "reach_threshold",
            target_kind: match meter.id.kind {
                MeterKind::Money => "budget",
                _ => "rate_limit",
            },
            target_id: meter.line_id.to_string(),
            profile: Some(self.watch.profile),
            user: self.watch.user,
            previous_values: None,
            new_values: None,
            metadata: Some(to_json("metadata", &alert)?),
        })
    }
}

/// What the counters show now.
async fn counts(
    tx: &mut Tx,
    piece: &[(CounterKey, (&Watch, &CounterAmount))],
) -> Result<HashMap<CounterKey, i64>> {
    let Some(first_end) = piece.iter().map(|(_, (_, change))| change.end).min() else {
        return Ok(HashMap::new());
    };
    let mut statement = query(state::COUNTERS);
    statement.push("window_end >= ");
    statement.push_value(first_end);
    statement.push(" and line in ");
    statement.push_list(piece.iter().map(|(key, _)| key.line.as_bytes().as_slice()));
    let rows = tx.rows(statement).await?;
    rows.iter()
        .map(|row| state::read_counter(row).map(|counter| (counter.key, counter.amount)))
        .collect()
}

/// Notes what is told. Returns what was not noted before.
async fn remember(
    tx: &mut Tx,
    piece: &[Reached<'_>],
    now: Timestamp,
) -> Result<Vec<(CounterKey, u32)>> {
    let mut insert = query(
        "insert into reached_thresholds (line, kind, duration, window_key, percent, window_end, reached_at) values ",
    );
    let mut separator = "";
    for each in piece {
        let key = each.change.key;
        insert.push(separator);
        insert.push_list::<Value>([
            key.line.as_bytes().as_slice().into(),
            i64::from(key.kind.code()).into(),
            i64::from(key.duration.code()).into(),
            key.window.0.into(),
            i64::from(each.percent).into(),
            each.change.end.into(),
            now.into(),
        ]);
        separator = ", ";
    }
    insert.push(
        " on conflict (line, kind, duration, window_key, percent) do nothing
          returning line, kind, duration, window_key, percent",
    );
    tx.rows(insert).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<(CounterKey, u32)> {
    let key = CounterKey {
        line: uuid(row, "line")?,
        kind: kind("kind", row.get("kind")?)?,
        duration: duration("duration", row.get("duration")?)?,
        window: WindowKey(row.get("window_key")?),
    };
    let percent = u32::try_from(row.unsigned("percent")?);
    Ok((
        key,
        percent.map_err(|error| crate::sql::corrupt("percent", error))?,
    ))
}

async fn forget(tx: &mut Tx, now: Timestamp) -> Result<()> {
    let before = now.saturating_add_micros(-REMEMBERED);
    tx.execute(query("delete from reached_thresholds where window_end < $1").bind(before))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::is_reached;

    #[test]
    fn a_threshold_is_reached_to_the_nano_dollar() {
        assert!(is_reached(800_000_000, 1_000_000_000, 80));
        assert!(!is_reached(799_999_999, 1_000_000_000, 80));
        assert!(is_reached(1, 1, 100) && !is_reached(0, 1, 1));
        assert!(is_reached(3, 2, 150) && !is_reached(2, 2, 150));
        assert!(!is_reached(5, 0, 1), "nothing has no part");
        assert!(is_reached(i64::MAX, i64::MAX, 100));
    }
}
