//! Holds as stored texts.

use serde::{Deserialize, Serialize};
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{CounterAmount, CounterKey, HoldFacts, OpenHold, Shadow};
use tollgate_domain::ids::{CopyId, ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::limits::{MeterId, MeterKind, ResetDuration, WindowKey};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::{ErrorKind, Timestamp, Usd};
use uuid::Uuid;

use crate::error::Result;
use crate::sql::{Row, corrupt, from_json, to_json};

#[derive(Serialize, Deserialize)]
struct FactsRow {
    at: i64,
    key: VirtualKeyId,
    user: Option<UserId>,
    copy: Option<CopyId>,
    profile: Option<ProfileId>,
    profile_version: Option<i64>,
    provider: ProviderName,
    model: String,
    endpoint: String,
    is_stream: bool,
    is_bound: bool,
    reserved_cost: Usd,
    reserved_tokens: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shadow: Option<ShadowRow>,
}

#[derive(Serialize, Deserialize)]
struct ShadowRow {
    code: String,
    /// The line and its kind, when a limit was full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<(Uuid, u8)>,
}

#[derive(Serialize, Deserialize)]
struct AmountRow {
    line: Uuid,
    kind: u8,
    duration: u8,
    window: i64,
    start: i64,
    end: i64,
    amount: i64,
}

pub(super) fn facts_text(facts: &HoldFacts) -> Result<String> {
    let row = FactsRow {
        at: facts.at.as_micros(),
        key: facts.key,
        user: facts.user,
        copy: facts.copy,
        profile: facts.profile,
        profile_version: facts.profile_version,
        provider: facts.provider.clone(),
        model: facts.model.clone(),
        endpoint: facts.endpoint.as_str().to_owned(),
        is_stream: facts.is_stream,
        is_bound: facts.is_bound,
        reserved_cost: facts.reserved_cost,
        reserved_tokens: facts.reserved_tokens,
        shadow: facts.shadow.map(|shadow| ShadowRow {
            code: shadow.kind.code().to_owned(),
            limit: shadow.limit.map(|limit| (limit.line, limit.kind.code())),
        }),
    };
    to_json("facts", &row)
}

pub(super) fn amounts_text(column: &'static str, amounts: &[CounterAmount]) -> Result<String> {
    let rows: Vec<AmountRow> = amounts
        .iter()
        .map(|amount| AmountRow {
            line: amount.key.line,
            kind: amount.key.kind.code(),
            duration: amount.key.duration.code(),
            window: amount.key.window.0,
            start: amount.start.as_micros(),
            end: amount.end.as_micros(),
            amount: amount.amount,
        })
        .collect();
    to_json(column, &rows)
}

/// A row of `open_holds` (amounts in `holds`) or of `in_doubt` (amounts in `charges`).
pub(crate) fn read_hold(row: &Row, amounts: &'static str) -> Result<OpenHold> {
    let request: RequestId = row.parse("request_id")?;
    let facts: FactsRow = row.json("facts")?;
    Ok(OpenHold {
        facts: HoldFacts {
            request,
            at: Timestamp::from_micros(facts.at),
            key: facts.key,
            user: facts.user,
            copy: facts.copy,
            profile: facts.profile,
            profile_version: facts.profile_version,
            provider: facts.provider,
            model: facts.model,
            endpoint: Endpoint::parse(&facts.endpoint)
                .ok_or_else(|| corrupt("facts", "unknown endpoint"))?,
            is_stream: facts.is_stream,
            is_bound: facts.is_bound,
            reserved_cost: facts.reserved_cost,
            reserved_tokens: facts.reserved_tokens,
            shadow: facts.shadow.as_ref().map(read_shadow).transpose()?,
        },
        holds: from_json::<Vec<AmountRow>>(amounts, &row.get::<String>(amounts)?)?
            .into_iter()
            .map(|row| {
                Ok(CounterAmount {
                    key: CounterKey {
                        line: row.line,
                        kind: kind(amounts, i64::from(row.kind))?,
                        duration: duration(amounts, i64::from(row.duration))?,
                        window: WindowKey(row.window),
                    },
                    start: Timestamp::from_micros(row.start),
                    end: Timestamp::from_micros(row.end),
                    amount: row.amount,
                })
            })
            .collect::<Result<_>>()?,
    })
}

fn read_shadow(row: &ShadowRow) -> Result<Shadow> {
    let limit = |(line, code): (Uuid, u8)| -> Result<MeterId> {
        Ok(MeterId {
            line,
            kind: kind("facts", i64::from(code))?,
        })
    };
    Ok(Shadow {
        kind: ErrorKind::from_code(&row.code)
            .ok_or_else(|| corrupt("facts", "unknown code of a refusal"))?,
        limit: row.limit.map(limit).transpose()?,
    })
}

pub(crate) fn kind(column: &'static str, code: i64) -> Result<MeterKind> {
    u8::try_from(code)
        .ok()
        .and_then(MeterKind::from_code)
        .ok_or_else(|| corrupt(column, "unknown kind of meter"))
}

pub(super) fn duration(column: &'static str, code: i64) -> Result<ResetDuration> {
    u8::try_from(code)
        .ok()
        .and_then(ResetDuration::from_code)
        .ok_or_else(|| corrupt(column, "unknown duration"))
}
