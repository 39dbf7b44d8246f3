//! The request log and its statistics.

mod get;
mod list;
mod stats;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::Timestamp;
use tollgate_domain::accounting::Outcome;
use tollgate_domain::ids::{ProfileId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;
use tollgate_storage::request_log::{LogFilter, LoggedRequest};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::extract::parse_query;
use crate::limits::money;
use crate::operations::Operations;
use crate::problem::Problem;

/// The operations on the request log.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_logs))
        .routes(|| routes!(stats::get_log_stats))
        .routes(|| routes!(get::get_log))
}

/// Which requests.
#[derive(Debug, Default, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LogQuery {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the provider's or model's name.
    search: Option<String>,
    /// At this instant or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// With this key.
    #[param(pattern = r"^vk_[0-9a-f]{32}$")]
    virtual_key_id: Option<String>,
    /// Of this user.
    #[param(pattern = r"^user_[0-9a-f]{32}$")]
    user_id: Option<String>,
    /// Paid by a copy of this profile.
    access_profile_id: Option<i64>,
    /// Sent to this provider.
    #[param(pattern = r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
    provider: Option<String>,
    /// For this model.
    model: Option<String>,
    /// That ended so: `reported`, `counted`, `failed`, `in_doubt` or `refused`.
    #[param(pattern = r"^(reported|counted|failed|in_doubt|refused)$")]
    outcome: Option<String>,
    /// Only those that a profile in shadow mode would have refused, or only the others.
    shadowed: Option<bool>,
}

/// A request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogView {
    /// Also in the header `x-request-id` of its answer.
    id: String,
    /// When it was admitted or refused.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    virtual_key_id: String,
    user_id: Option<String>,
    /// The copy that paid.
    copy_id: Option<String>,
    access_profile_id: Option<i64>,
    /// The version of the profile that decided.
    access_profile_version: Option<i64>,
    provider: String,
    model: String,
    endpoint: &'static str,
    is_stream: bool,
    /// `reported`, `counted`, `failed`, `in_doubt` or `refused`.
    outcome: &'static str,
    status: u16,
    error_code: Option<String>,
    /// What a profile in shadow mode would have refused it with, had it not been in shadow mode.
    shadow: Option<ShadowView>,
    tokens: TokensView,
    /// US dollars.
    #[schema(value_type = f64)]
    cost_usd: Box<RawValue>,
    /// From admission to the end.
    latency_ms: u64,
    /// From admission to the first byte of the answer.
    first_byte_ms: Option<u64>,
    attempts: u32,
    /// When a charge in doubt was corrected.
    #[schema(value_type = Option<String>, format = DateTime)]
    resolved_at: Option<Timestamp>,
}

/// A refusal that was noted and not made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShadowView {
    /// The code that the caller would have got.
    code: &'static str,
    /// The limit that was full, when it was one.
    limit_id: Option<String>,
}

/// Tokens by kind.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokensView {
    input: u64,
    cache_read: u64,
    cache_write: u64,
    audio_input: u64,
    output: u64,
    reasoning: u64,
    audio_output: u64,
}

impl From<LoggedRequest> for LogView {
    fn from(logged: LoggedRequest) -> Self {
        let (facts, ending) = (logged.entry.facts, logged.entry.ending);
        let usage = ending.usage;
        Self {
            id: facts.request.to_string(),
            at: facts.at,
            virtual_key_id: facts.key.to_string(),
            user_id: facts.user.map(|id| id.to_string()),
            copy_id: facts.copy.map(|id| id.to_string()),
            access_profile_id: facts.profile.map(|id| id.0),
            access_profile_version: facts.profile_version,
            provider: facts.provider.to_string(),
            model: facts.model,
            endpoint: facts.endpoint.as_str(),
            is_stream: facts.is_stream,
            outcome: ending.outcome.as_str(),
            status: ending.status,
            error_code: ending.error_code,
            shadow: facts.shadow.map(|shadow| ShadowView {
                code: shadow.kind.code(),
                limit_id: shadow.limit.map(|limit| limit.to_string()),
            }),
            tokens: TokensView {
                input: usage.input,
                cache_read: usage.cache_read,
                cache_write: usage.cache_write_5m.saturating_add(usage.cache_write_1h),
                audio_input: usage.audio_input,
                output: usage.output,
                reasoning: usage.reasoning,
                audio_output: usage.audio_output,
            },
            cost_usd: money(ending.cost),
            latency_ms: ending.duration_micros / 1_000,
            first_byte_ms: ending.first_byte_micros.map(|micros| micros / 1_000),
            attempts: ending.attempts,
            resolved_at: logged.resolved_at,
        }
    }
}

impl LogQuery {
    /// The filter that the query asks for.
    ///
    /// # Errors
    /// A parameter that is none of its kind.
    fn filter(&self) -> Result<LogFilter, Problem> {
        Ok(LogFilter {
            from: parse_query::<Timestamp>(self.from.as_deref(), "from")?,
            to: parse_query::<Timestamp>(self.to.as_deref(), "to")?,
            key: parse_query::<VirtualKeyId>(self.virtual_key_id.as_deref(), "virtual_key_id")?,
            user: parse_query::<UserId>(self.user_id.as_deref(), "user_id")?,
            profile: self.access_profile_id.map(ProfileId),
            provider: parse_query::<ProviderName>(self.provider.as_deref(), "provider")?,
            model: self.model.clone(),
            search: self.search.clone(),
            is_shadowed: self.shadowed,
            outcome: match self.outcome.as_deref() {
                None => None,
                Some(text) => Some(Outcome::parse(text).ok_or_else(|| {
                    Problem::invalid(
                        "/query/outcome",
                        "`outcome` is one of `reported`, `counted`, `failed`, `in_doubt`, `refused`",
                    )
                })?),
            },
            ..LogFilter::default()
        })
    }
}
