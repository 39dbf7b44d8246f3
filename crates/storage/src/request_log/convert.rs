//! Bringing requests that an earlier release logged, a row each, into blocks.

use tollgate_domain::Usd;
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{Ending, HoldFacts, LogEntry, Outcome};
use tollgate_domain::ids::ProfileId;
use tollgate_domain::usage::{ServiceTier, TokenUsage};

use super::{LoggedRequest, blocks};
use crate::error::Result;
use crate::sql::{Row, corrupt, query};
use crate::store::Store;

/// Requests a transaction.
const PIECE: i64 = 2_048;

const OLDEST: &str = "select request_id, at, key_id, user_id, copy_id, profile_id, profile_version, provider, model,
         endpoint, is_stream, is_bound, reserved_cost, reserved_tokens, ended_at, outcome, status, error_code,
         input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens,
         output_tokens, reasoning_tokens, audio_output_tokens, service_tier, cost, duration_micros,
         first_byte_micros, attempts, resolved_at
     from request_log order by at, request_id limit $1";

/// Moves every row of the old table. What was moved is gone from there, so this can be interrupted at any time.
pub(crate) async fn old_rows(store: &Store) -> Result<()> {
    let mut moved: usize = 0;
    loop {
        let mut tx = store.begin().await?;
        let rows = tx.rows(query(OLDEST).bind(PIECE)).await?;
        let Some(last) = rows.last() else {
            if moved > 0 {
                tracing::info!(requests = moved, "the request log is in its new layout");
            }
            return tx.rollback().await;
        };
        let newest = (last.instant("at")?, last.get::<String>("request_id")?);
        let requests: Vec<LoggedRequest> = rows.iter().map(read).collect::<Result<_>>()?;
        blocks::append(
            &mut tx,
            requests
                .iter()
                .map(|logged| (&logged.entry, logged.resolved_at)),
        )
        .await?;
        tx.execute(
            query("delete from request_log where at < $1 or (at = $1 and request_id <= $2)")
                .bind(newest.0)
                .bind(newest.1),
        )
        .await?;
        let _nothing_is_published_by_this = tx.commit().await?;
        moved += requests.len();
    }
}

fn read(row: &Row) -> Result<LoggedRequest> {
    let facts = HoldFacts {
        request: row.parse("request_id")?,
        at: row.instant("at")?,
        key: row.parse("key_id")?,
        user: row.parse_opt("user_id")?,
        copy: row.parse_opt("copy_id")?,
        profile: row.get::<Option<i64>>("profile_id")?.map(ProfileId),
        profile_version: row.get("profile_version")?,
        provider: row.parse("provider")?,
        model: row.get("model")?,
        endpoint: Endpoint::parse(&row.get::<String>("endpoint")?)
            .ok_or_else(|| corrupt("endpoint", "unknown endpoint"))?,
        is_stream: row.get("is_stream")?,
        is_bound: row.get("is_bound")?,
        reserved_cost: Usd::from_nanos(row.get("reserved_cost")?),
        reserved_tokens: row.unsigned("reserved_tokens")?,
        shadow: None,
    };
    let ending = Ending {
        at: row.instant("ended_at")?,
        outcome: Outcome::parse(&row.get::<String>("outcome")?)
            .ok_or_else(|| corrupt("outcome", "unknown outcome"))?,
        status: u16::try_from(row.get::<i64>("status")?)
            .map_err(|error| corrupt("status", error))?,
        error_code: row.get("error_code")?,
        usage: TokenUsage {
            input: row.unsigned("input_tokens")?,
            cache_read: row.unsigned("cache_read_tokens")?,
            cache_write_5m: row.unsigned("cache_write_5m_tokens")?,
            cache_write_1h: row.unsigned("cache_write_1h_tokens")?,
            audio_input: row.unsigned("audio_input_tokens")?,
            output: row.unsigned("output_tokens")?,
            reasoning: row.unsigned("reasoning_tokens")?,
            audio_output: row.unsigned("audio_output_tokens")?,
            tier: ServiceTier::parse(&row.get::<String>("service_tier")?)
                .ok_or_else(|| corrupt("service_tier", "unknown tier"))?,
        },
        cost: Usd::from_nanos(row.get("cost")?),
        duration_micros: row.unsigned("duration_micros")?,
        first_byte_micros: row
            .get::<Option<i64>>("first_byte_micros")?
            .and_then(|micros| u64::try_from(micros).ok()),
        attempts: u32::try_from(row.get::<i64>("attempts")?)
            .map_err(|error| corrupt("attempts", error))?,
    };
    Ok(LoggedRequest {
        entry: LogEntry { facts, ending },
        resolved_at: row.instant_opt("resolved_at")?,
    })
}
