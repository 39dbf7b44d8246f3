//! Log rows and hourly sums of a piece of the journal.

use std::collections::BTreeMap;

use tollgate_domain::accounting::{LogEntry, Outcome};
use tollgate_domain::ids::{RequestId, VirtualKeyId};
use tollgate_domain::{Timestamp, Usd};

use crate::error::Result;
use crate::sql::{Value, query};
use crate::tx::Tx;

/// Rows a statement: 31 values each, far below the number of placeholders that both engines take.
const ROWS: usize = 200;
/// Microseconds in an hour.
const HOUR: i64 = 3_600_000_000;

/// Appends rows to the request log, and adds them to the hourly sums.
pub(super) async fn append(tx: &mut Tx, entries: &[LogEntry]) -> Result<()> {
    let mut appended = 0;
    for piece in entries.chunks(ROWS) {
        let mut insert = query(
            "insert into request_log (request_id, at, key_id, user_id, copy_id, profile_id, profile_version,
                 provider, model, endpoint, is_stream, is_bound, reserved_cost, reserved_tokens, ended_at, outcome,
                 status, error_code, input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens,
                 audio_input_tokens, output_tokens, reasoning_tokens, audio_output_tokens, service_tier, cost,
                 duration_micros, first_byte_micros, attempts) values ",
        );
        let mut separator = "";
        for entry in piece {
            insert.push(separator);
            insert.push_list(values(entry));
            separator = ", ";
        }
        insert.push(" on conflict (request_id) do nothing");
        appended += tx.execute(insert).await?;
    }
    if appended != u64::try_from(entries.len()).unwrap_or(u64::MAX) {
        // The money is in the counters and the hourly sums all the same; only the row of the first stays.
        tracing::error!(
            rows = entries.len(),
            appended,
            "requests ended twice in the journal; their second log rows are left out"
        );
    }
    add_to_hours(tx, entries.iter().map(Share::of)).await
}

fn values(entry: &LogEntry) -> [Value; 31] {
    let (facts, ending) = (&entry.facts, &entry.ending);
    let usage = &ending.usage;
    [
        facts.request.to_string().into(),
        facts.at.into(),
        facts.key.to_string().into(),
        facts.user.map(|id| id.to_string()).into(),
        facts.copy.map(|id| id.to_string()).into(),
        facts.profile.map(|id| id.0).into(),
        facts.profile_version.into(),
        facts.provider.as_str().into(),
        facts.model.as_str().into(),
        facts.endpoint.as_str().into(),
        facts.is_stream.into(),
        facts.is_bound.into(),
        facts.reserved_cost.nanos().into(),
        facts.reserved_tokens.into(),
        ending.at.into(),
        ending.outcome.as_str().into(),
        i64::from(ending.status).into(),
        ending.error_code.clone().into(),
        usage.input.into(),
        usage.cache_read.into(),
        usage.cache_write_5m.into(),
        usage.cache_write_1h.into(),
        usage.audio_input.into(),
        usage.output.into(),
        usage.reasoning.into(),
        usage.audio_output.into(),
        usage.tier.as_str().into(),
        ending.cost.nanos().into(),
        ending.duration_micros.into(),
        ending
            .first_byte_micros
            .map(|micros| i64::try_from(micros).unwrap_or(i64::MAX))
            .into(),
        i64::from(ending.attempts).into(),
    ]
}

/// Which hourly sum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct HourKey {
    hour: i64,
    key: VirtualKeyId,
    user: String,
    profile: i64,
    provider: String,
    model: String,
    outcome: &'static str,
}

/// What a request adds to it.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    requests: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost: i64,
    duration_micros: i64,
}

struct Share {
    key: HourKey,
    sums: Sums,
}

impl Share {
    fn of(entry: &LogEntry) -> Self {
        let (facts, ending) = (&entry.facts, &entry.ending);
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Self {
            key: HourKey {
                hour: facts.at.as_micros().div_euclid(HOUR) * HOUR,
                key: facts.key,
                user: facts.user.map(|id| id.to_string()).unwrap_or_default(),
                profile: facts.profile.map_or(0, |id| id.0),
                provider: facts.provider.as_str().to_owned(),
                model: facts.model.clone(),
                outcome: ending.outcome.as_str(),
            },
            sums: Sums {
                requests: 1,
                input_tokens: number(ending.usage.total_input()),
                output_tokens: number(ending.usage.total_output()),
                cost: ending.cost.nanos(),
                duration_micros: number(ending.duration_micros),
            },
        }
    }
}

async fn add_to_hours(tx: &mut Tx, shares: impl Iterator<Item = Share>) -> Result<()> {
    let mut hours: BTreeMap<HourKey, Sums> = BTreeMap::new();
    for share in shares {
        let sums = hours.entry(share.key).or_default();
        sums.requests += share.sums.requests;
        sums.input_tokens = sums.input_tokens.saturating_add(share.sums.input_tokens);
        sums.output_tokens = sums.output_tokens.saturating_add(share.sums.output_tokens);
        sums.cost = sums.cost.saturating_add(share.sums.cost);
        sums.duration_micros = sums
            .duration_micros
            .saturating_add(share.sums.duration_micros);
    }
    let hours: Vec<(HourKey, Sums)> = hours.into_iter().collect();
    for piece in hours.chunks(ROWS) {
        let mut insert = query(
            "insert into usage_hourly (hour, key_id, user_id, profile_id, provider, model, outcome, requests,
                 input_tokens, output_tokens, cost, duration_micros) values ",
        );
        let mut separator = "";
        for (key, sums) in piece {
            insert.push(separator);
            insert.push_list::<Value>([
                key.hour.into(),
                key.key.to_string().into(),
                key.user.as_str().into(),
                key.profile.into(),
                key.provider.as_str().into(),
                key.model.as_str().into(),
                key.outcome.into(),
                sums.requests.into(),
                sums.input_tokens.into(),
                sums.output_tokens.into(),
                sums.cost.into(),
                sums.duration_micros.into(),
            ]);
            separator = ", ";
        }
        insert.push(
            " on conflict (hour, key_id, user_id, profile_id, provider, model, outcome) do update set
                  requests = usage_hourly.requests + excluded.requests,
                  input_tokens = usage_hourly.input_tokens + excluded.input_tokens,
                  output_tokens = usage_hourly.output_tokens + excluded.output_tokens,
                  cost = usage_hourly.cost + excluded.cost,
                  duration_micros = usage_hourly.duration_micros + excluded.duration_micros",
        );
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Corrects what a request in doubt cost, in its row, the hourly sum and the list of what is in doubt.
pub(super) async fn resolve(
    tx: &mut Tx,
    request: RequestId,
    cost: Usd,
    at: Timestamp,
) -> Result<()> {
    tx.execute(
        query("update in_doubt set resolved_at = $2 where request_id = $1")
            .bind_text(request)
            .bind(at),
    )
    .await?;
    let row = tx
        .row(
            query(
                "select at, key_id, user_id, profile_id, provider, model, cost from request_log
                 where request_id = $1",
            )
            .bind_text(request),
        )
        .await?;
    let Some(row) = row else {
        // Rows of old requests are removed after their retention; the counters were corrected all the same.
        return Ok(());
    };
    let share = Share {
        key: HourKey {
            hour: row.get::<i64>("at")?.div_euclid(HOUR) * HOUR,
            key: row.parse("key_id")?,
            user: row.get::<Option<String>>("user_id")?.unwrap_or_default(),
            profile: row.get::<Option<i64>>("profile_id")?.unwrap_or_default(),
            provider: row.get("provider")?,
            model: row.get("model")?,
            outcome: Outcome::InDoubt.as_str(),
        },
        sums: Sums {
            cost: cost.nanos().saturating_sub(row.get("cost")?),
            ..Sums::default()
        },
    };
    tx.execute(
        query("update request_log set cost = $2, resolved_at = $3 where request_id = $1")
            .bind_text(request)
            .bind(cost.nanos())
            .bind(at),
    )
    .await?;
    add_to_hours(tx, std::iter::once(share)).await
}
