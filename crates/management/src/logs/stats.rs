use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_storage::request_log::stats::{self, GroupBy, UsageSums};
use utoipa::{IntoParams, ToSchema};

use super::LogQuery;
use crate::answers::Refusals;
use crate::context::{Require, ViewLogs};
use crate::extract::{Json, Query};
use crate::limits::money;
use crate::problem::{Answer, Problem};

/// Most parts of one answer.
const MAX_GROUPS: u32 = 1_000;

/// Which requests, and how their sums are split.
#[derive(Debug, serde::Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// In this hour or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Before this instant; its whole hour counts.
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
    /// That ended so.
    #[param(pattern = r"^(reported|counted|failed|in_doubt|refused)$")]
    outcome: Option<String>,
    /// `hour`, `virtual_key`, `user`, `access_profile`, `provider`, `model` or `outcome`. Left out: not at all.
    #[param(pattern = r"^(hour|virtual_key|user|access_profile|provider|model|outcome)$")]
    group_by: Option<String>,
}

/// Sums of requests, from hourly sums: the log itself is not read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LogStats {
    total: SumsView,
    /// Hours in their order, everything else dearest first.
    groups: Vec<GroupSums>,
}

/// Sums of one part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupSums {
    /// The hour as microseconds since 1970, or an id or name; empty for nobody.
    key: String,
    #[serde(flatten)]
    sums: SumsView,
}

/// Sums of some requests.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SumsView {
    requests: u64,
    refused: u64,
    failed: u64,
    input_tokens: u64,
    output_tokens: u64,
    /// US dollars.
    #[schema(value_type = f64)]
    cost_usd: Box<RawValue>,
    /// On average.
    latency_ms: u64,
}

impl From<UsageSums> for SumsView {
    fn from(sums: UsageSums) -> Self {
        let micros = sums.duration_micros.checked_div(sums.requests);
        Self {
            requests: sums.requests,
            refused: sums.refused,
            failed: sums.failed,
            input_tokens: sums.input_tokens,
            output_tokens: sums.output_tokens,
            cost_usd: money(sums.cost),
            latency_ms: micros.unwrap_or(0) / 1_000,
        }
    }
}

/// Sum requests up
#[utoipa::path(
    get, path = "/logs/stats", tag = "request log",
    params(StatsQuery),
    responses((status = 200, body = LogStats), Refusals),
    security(("management_key" = ["Logs:View"]))
)]
pub(crate) async fn get_log_stats(
    ctx: Require<ViewLogs>,
    Query(query): Query<StatsQuery>,
) -> Answer<Json<LogStats>> {
    let by = query.group_by.as_deref().map(read_group).transpose()?;
    let filter = LogQuery {
        from: query.from,
        to: query.to,
        virtual_key_id: query.virtual_key_id,
        user_id: query.user_id,
        access_profile_id: query.access_profile_id,
        provider: query.provider,
        model: query.model,
        outcome: query.outcome,
        ..LogQuery::default()
    }
    .filter()?;
    let groups = match by {
        None => Vec::new(),
        Some(by) => stats::grouped(ctx.store(), &filter, by, MAX_GROUPS).await?,
    };
    Ok(Json(LogStats {
        total: stats::total(ctx.store(), &filter).await?.into(),
        groups: groups
            .into_iter()
            .map(|(key, sums)| GroupSums {
                key,
                sums: sums.into(),
            })
            .collect(),
    }))
}

fn read_group(text: &str) -> Answer<GroupBy> {
    Ok(match text {
        "hour" => GroupBy::Hour,
        "virtual_key" => GroupBy::Key,
        "user" => GroupBy::User,
        "access_profile" => GroupBy::Profile,
        "provider" => GroupBy::Provider,
        "model" => GroupBy::Model,
        "outcome" => GroupBy::Outcome,
        _ => {
            return Err(Problem::invalid(
                "/query/group_by",
                "`group_by` is one of `hour`, `virtual_key`, `user`, `access_profile`, `provider`, `model`, `outcome`",
            ));
        }
    })
}
