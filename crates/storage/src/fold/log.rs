//! The request log and the hourly sums of a piece of the journal.

use std::collections::BTreeMap;

use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome};
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::{Timestamp, Usd};

use crate::error::Result;
use crate::request_log::blocks;
use crate::request_log::hours::hour_of;
use crate::sql::{Query, Value, query};
use crate::tx::{Db, Tx};

/// Rows a statement: 12 values each, far below the number of placeholders that both engines take.
const ROWS: usize = 200;

/// Appends requests to the log, and adds them to the hourly sums.
pub(super) async fn append(tx: &mut Tx, entries: &[LogEntry]) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    blocks::append(tx, entries.iter().map(|entry| (entry, None))).await?;
    let mut hours = BTreeMap::new();
    for LogEntry { facts, ending } in entries {
        let sums: &mut Sums = hours.entry(Hour::of(facts, ending.outcome)).or_default();
        sums.add(&Sums::of(ending));
    }
    add_to_hours(tx, &hours).await
}

/// Which hourly sum. The text of a model is compared last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Hour<'a> {
    start: Timestamp,
    key: Option<VirtualKeyId>,
    user: Option<UserId>,
    profile: Option<ProfileId>,
    outcome: &'static str,
    provider: &'a str,
    model: &'a str,
}

/// What requests add to it.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost: i64,
    duration_micros: i64,
}

impl<'a> Hour<'a> {
    fn of(facts: &'a HoldFacts, outcome: Outcome) -> Self {
        Self {
            start: hour_of(facts.at),
            key: Some(facts.key),
            user: facts.user,
            profile: facts.profile,
            outcome: outcome.as_str(),
            provider: facts.provider.as_str(),
            model: &facts.model,
        }
    }

    /// The sum of all keys and users that this belongs to.
    const fn total(self) -> Self {
        Self {
            key: None,
            user: None,
            ..self
        }
    }
}

impl Sums {
    fn of(ending: &Ending) -> Self {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            requests: 1,
            input_tokens: number(ending.usage.total_input()),
            output_tokens: number(ending.usage.total_output()),
            cost: ending.cost.nanos(),
            duration_micros: number(ending.duration_micros),
        }
    }

    const fn add(&mut self, more: &Self) {
        self.requests = self.requests.saturating_add(more.requests);
        self.input_tokens = self.input_tokens.saturating_add(more.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(more.output_tokens);
        self.cost = self.cost.saturating_add(more.cost);
        self.duration_micros = self.duration_micros.saturating_add(more.duration_micros);
    }
}

async fn add_to_hours(tx: &mut Tx, hours: &BTreeMap<Hour<'_>, Sums>) -> Result<()> {
    let mut totals: BTreeMap<Hour<'_>, Sums> = BTreeMap::new();
    for (hour, sums) in hours {
        totals.entry(hour.total()).or_default().add(sums);
    }
    add_rows(
        tx,
        hours,
        "insert into usage_hourly (key_id, user_id, hour, profile_id, provider, model, outcome, requests,
             input_tokens, output_tokens, cost, duration_micros) values ",
        " on conflict (hour, key_id, user_id, profile_id, provider, model, outcome) do update set
              requests = usage_hourly.requests + excluded.requests,
              input_tokens = usage_hourly.input_tokens + excluded.input_tokens,
              output_tokens = usage_hourly.output_tokens + excluded.output_tokens,
              cost = usage_hourly.cost + excluded.cost,
              duration_micros = usage_hourly.duration_micros + excluded.duration_micros",
    )
    .await?;
    add_rows(
        tx,
        &totals,
        "insert into usage_hourly_totals (hour, profile_id, provider, model, outcome, requests,
             input_tokens, output_tokens, cost, duration_micros) values ",
        " on conflict (hour, profile_id, provider, model, outcome) do update set
              requests = usage_hourly_totals.requests + excluded.requests,
              input_tokens = usage_hourly_totals.input_tokens + excluded.input_tokens,
              output_tokens = usage_hourly_totals.output_tokens + excluded.output_tokens,
              cost = usage_hourly_totals.cost + excluded.cost,
              duration_micros = usage_hourly_totals.duration_micros + excluded.duration_micros",
    )
    .await
}

async fn add_rows(
    tx: &mut Tx,
    hours: &BTreeMap<Hour<'_>, Sums>,
    start: &'static str,
    end: &'static str,
) -> Result<()> {
    let hours: Vec<_> = hours.iter().collect();
    for piece in hours.chunks(ROWS) {
        let mut insert = query(start);
        let mut separator = "";
        for (hour, sums) in piece {
            insert.push(separator);
            push_row(&mut insert, hour, sums);
            separator = ", ";
        }
        insert.push(end);
        tx.execute(insert).await?;
    }
    Ok(())
}

/// A sum of one key starts with the key and its user; a total does not.
fn push_row(insert: &mut Query, hour: &Hour<'_>, sums: &Sums) {
    let holder: Option<[Value; 2]> = hour.key.map(|key| {
        let user = hour.user.map(|id| id.to_string());
        [key.to_string().into(), user.unwrap_or_default().into()]
    });
    let rest: [Value; 10] = [
        hour.start.into(),
        hour.profile.map_or(0, |id| id.0).into(),
        hour.provider.into(),
        hour.model.into(),
        hour.outcome.into(),
        sums.requests.into(),
        sums.input_tokens.into(),
        sums.output_tokens.into(),
        sums.cost.into(),
        sums.duration_micros.into(),
    ];
    insert.push_list(holder.into_iter().flatten().chain(rest));
}

/// Corrects what a request in doubt cost: in the log and the hourly sums.
pub(super) async fn resolve(
    tx: &mut Tx,
    request: RequestId,
    cost: Usd,
    at: Timestamp,
) -> Result<()> {
    // Old requests are forgotten after their retention; the counters were corrected all the same.
    let Some((id, mut block)) = blocks::holding(&mut Db::Tx(tx), request).await? else {
        return Ok(());
    };
    let Some(before) = block.resolve(request, cost, at) else {
        return Ok(());
    };
    blocks::put(tx, id, &block).await?;
    let LogEntry { facts, ending } = &before.entry;
    let difference = Sums {
        cost: cost.nanos().saturating_sub(ending.cost.nanos()),
        ..Sums::default()
    };
    let hour = Hour::of(facts, ending.outcome);
    add_to_hours(tx, &BTreeMap::from([(hour, difference)])).await
}
