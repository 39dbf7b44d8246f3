use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use tollgate_domain::limits::{BudgetLine, MeterId, MeterKind, RateLimitLine};
use tollgate_domain::{Timestamp, Usd};
use utoipa::ToSchema;

use super::usage::Readings;

/// A budget line with what has been used of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BudgetView {
    /// Stable across edits.
    id: String,
    /// US dollars.
    #[serde(serialize_with = "write_money")]
    #[schema(value_type = f64)]
    max_limit: Usd,
    /// `1h`, `1d`, `1w`, `1M`, `1Q` or `1Y`.
    reset_duration: &'static str,
    /// Where quarters start, when the line says so.
    reset_config: Option<ResetConfigView>,
    /// What the line covers: `total` or `provider:<name>`.
    scope: String,
    /// Spent in the running window, in US dollars.
    #[serde(serialize_with = "write_money")]
    #[schema(value_type = f64)]
    current_usage: Usd,
    /// The start of the running window.
    #[schema(value_type = String, format = DateTime)]
    last_reset: Timestamp,
    /// Held by running requests, in US dollars.
    #[serde(serialize_with = "write_money")]
    #[schema(value_type = f64)]
    reserved: Usd,
    /// What is left, in US dollars; never less than 0.
    #[serde(serialize_with = "write_money")]
    #[schema(value_type = f64)]
    remaining: Usd,
    /// When the running window ends; null on a template, which has no usage.
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<Timestamp>,
    /// The limit with its override, in US dollars.
    #[serde(serialize_with = "write_money")]
    #[schema(value_type = f64)]
    effective_max_limit: Usd,
    /// The override, when there is one.
    #[serde(rename = "override")]
    boost: Option<Override>,
}

/// Where quarters start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResetConfigView {
    /// 1 to 12.
    quarter_start_month: u8,
}

/// A raise of a budget.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Override {
    /// On top of `max_limit`, in US dollars.
    #[serde(serialize_with = "write_money")]
    #[schema(value_type = f64)]
    pub(crate) amount: Usd,
    /// `cycles` or `forever`.
    pub(crate) mode: &'static str,
    /// When it ends; null for ever.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) until: Option<Timestamp>,
}

/// Limits on tokens, requests and parallel requests, with what has been used of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RateLimitView {
    /// Stable across edits.
    id: String,
    /// Tokens per window.
    token_max_limit: Option<u64>,
    /// `1m`, `1h`, `1d`, `1w`, `1M` or `1Y`.
    token_reset_duration: Option<&'static str>,
    /// Requests per window.
    request_max_limit: Option<u64>,
    /// As for tokens.
    request_reset_duration: Option<&'static str>,
    /// Requests that may run at the same time.
    max_parallel_requests: Option<u64>,
    /// Requests that run now.
    current_parallel_requests: i64,
    /// Tokens used in the running window.
    token_current_usage: i64,
    /// Requests in the running window.
    request_current_usage: i64,
    /// The start of the running window of tokens.
    #[schema(value_type = Option<String>, format = DateTime)]
    token_last_reset: Option<Timestamp>,
    /// The start of the running window of requests.
    #[schema(value_type = Option<String>, format = DateTime)]
    request_last_reset: Option<Timestamp>,
    /// When the running window of tokens ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    token_resets_at: Option<Timestamp>,
    /// When the running window of requests ends.
    #[schema(value_type = Option<String>, format = DateTime)]
    request_resets_at: Option<Timestamp>,
}

impl BudgetView {
    pub(crate) fn new(
        line: &BudgetLine,
        scope: &str,
        boost: Option<Override>,
        readings: &Readings,
    ) -> Self {
        let reading = readings.find(MeterId {
            line: line.id.uuid(),
            kind: MeterKind::Money,
        });
        Self {
            id: line.id.to_string(),
            max_limit: line.max_limit,
            reset_duration: line.reset_duration.as_str(),
            reset_config: line
                .quarter_start_month
                .map(|quarter_start_month| ResetConfigView {
                    quarter_start_month,
                }),
            scope: scope.to_owned(),
            current_usage: Usd::from_nanos(reading.map_or(0, |reading| reading.used)),
            last_reset: reading
                .and_then(|reading| reading.window_start)
                .unwrap_or(readings.since()),
            reserved: Usd::from_nanos(reading.map_or(0, |reading| reading.reserved)),
            remaining: reading.map_or(line.max_limit, |reading| Usd::from_nanos(reading.remaining)),
            resets_at: reading.and_then(|reading| reading.resets_at),
            effective_max_limit: reading
                .map_or(line.max_limit, |reading| Usd::from_nanos(reading.limit)),
            boost,
        }
    }
}

impl RateLimitView {
    pub(crate) fn new(line: &RateLimitLine, readings: &Readings) -> Self {
        let reading = |kind| {
            readings.find(MeterId {
                line: line.id.uuid(),
                kind,
            })
        };
        let (tokens, requests) = (reading(MeterKind::Tokens), reading(MeterKind::Requests));
        let parallel = reading(MeterKind::Parallel);
        Self {
            id: line.id.to_string(),
            token_max_limit: line.tokens.map(|(limit, _)| limit),
            token_reset_duration: line.tokens.map(|(_, duration)| duration.as_str()),
            request_max_limit: line.requests.map(|(limit, _)| limit),
            request_reset_duration: line.requests.map(|(_, duration)| duration.as_str()),
            max_parallel_requests: line.parallel_requests,
            current_parallel_requests: parallel.map_or(0, |reading| reading.reserved),
            token_current_usage: tokens.map_or(0, |reading| reading.used),
            request_current_usage: requests.map_or(0, |reading| reading.used),
            token_last_reset: tokens.and_then(|reading| reading.window_start),
            request_last_reset: requests.and_then(|reading| reading.window_start),
            token_resets_at: tokens.and_then(|reading| reading.resets_at),
            request_resets_at: requests.and_then(|reading| reading.resets_at),
        }
    }
}

/// The amount as a JSON number with all its digits.
pub(crate) fn money(amount: Usd) -> Box<RawValue> {
    RawValue::from_string(amount.to_string()).unwrap_or_default()
}

/// For `serialize_with`: an exact JSON number, which a float would not be.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature is serde's"
)]
pub(crate) fn write_money<S: Serializer>(amount: &Usd, serializer: S) -> Result<S::Ok, S::Error> {
    money(*amount).serialize(serializer)
}
