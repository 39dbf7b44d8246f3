//! Access profiles and their copies as answers show them.

use std::collections::BTreeMap;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{
    AccessProfile, McpGrants, OnUnknownPrice, ProfileContent, Reservation, ToolAction,
};
use tollgate_domain::ids::BudgetId;
use utoipa::ToSchema;

use crate::limits::{BudgetView, Override, RateLimitView, Readings, no_usage};
use crate::provider_configs::{ProviderConfigView, view_budgets, view_rate_limit};

/// An access profile: what whoever holds a copy of it may use, and how much.
#[derive(Debug, Serialize, ToSchema)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the fields are the contract's"
)]
pub(crate) struct AccessProfileView {
    id: i64,
    name: String,
    description: Option<String>,
    /// Inactive profiles are hidden from new assignments; copies keep working.
    is_active: bool,
    /// Steps with every change.
    version: i64,
    tags: Vec<String>,
    provider_configs: Vec<ProviderConfigView>,
    budgets: Vec<BudgetView>,
    rate_limit: Option<RateLimitView>,
    /// Whether windows follow the calendar of `time_zone`.
    calendar_aligned: bool,
    /// An IANA zone.
    time_zone: String,
    mcp_tool_groups: Vec<ToolGroupRefView>,
    mcp_servers: Vec<ServerRefView>,
    mcp_tool_overrides: Vec<ToolOverrideView>,
    /// Nanoseconds between rotations of managed keys; 0 = off.
    auto_rotation_interval: i64,
    /// When managed keys are rotated next; absent while rotation is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_rotation_at: Option<Timestamp>,
    /// When they were last rotated; absent while rotation is off, or before the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_rotation_at: Option<Timestamp>,
    govern_created_keys: bool,
    /// `deny` or `allow`.
    on_unknown_price: &'static str,
    /// `estimate` or `bound`.
    reservation: &'static str,
    shadow: bool,
    /// Percentages of a limit at which to alert.
    alert_thresholds: Vec<u32>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A group of MCP tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolGroupRefView {
    tool_group_id: i64,
}

/// A whole MCP server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServerRefView {
    mcp_server_id: String,
}

/// A single MCP tool, granted or taken away.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolOverrideView {
    mcp_client_id: String,
    tool_name: String,
    /// `include` or `exclude`.
    action: &'static str,
}

/// One access profile.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccessProfileBody {
    pub(crate) access_profile: AccessProfileView,
}

impl AccessProfileView {
    /// A template: it has no usage.
    pub(crate) fn new(profile: &AccessProfile) -> Self {
        let readings = no_usage(profile.created_at);
        let content = &profile.content;
        let rotation = profile.rotation;
        let is_rotating = content.auto_rotation_interval_ns > 0;
        Self {
            id: profile.id.0,
            name: profile.name.clone(),
            description: profile.description.clone(),
            is_active: profile.is_active,
            version: profile.version,
            tags: profile.tags.clone(),
            provider_configs: view_configs(content, &|_| None, &readings),
            budgets: view_budgets(&content.limits, "total", &|_| None, &readings),
            rate_limit: view_rate_limit(&content.limits, &readings),
            calendar_aligned: content.calendar_aligned,
            time_zone: content.time_zone.to_string(),
            mcp_tool_groups: view_tool_groups(&content.mcp),
            mcp_servers: view_servers(&content.mcp),
            mcp_tool_overrides: view_tool_overrides(&content.mcp),
            auto_rotation_interval: content.auto_rotation_interval_ns,
            next_rotation_at: rotation.next_at.filter(|_| is_rotating),
            last_rotation_at: rotation.last_at.filter(|_| is_rotating),
            govern_created_keys: content.govern_created_keys,
            on_unknown_price: price_word(content.on_unknown_price),
            reservation: reservation_word(content.reservation),
            shadow: content.shadow,
            alert_thresholds: content.alert_thresholds.clone(),
            created_at: profile.created_at,
            updated_at: profile.updated_at,
        }
    }
}

pub(crate) fn view_configs(
    content: &ProfileContent,
    boost: &dyn Fn(BudgetId) -> Option<Override>,
    readings: &Readings,
) -> Vec<ProviderConfigView> {
    content
        .provider_configs
        .iter()
        .map(|config| ProviderConfigView::new(config, boost, readings))
        .collect()
}

pub(crate) fn view_tool_groups(mcp: &McpGrants) -> Vec<ToolGroupRefView> {
    let ids = mcp.tool_groups.iter();
    ids.map(|id| ToolGroupRefView {
        tool_group_id: id.0,
    })
    .collect()
}

pub(crate) fn view_servers(mcp: &McpGrants) -> Vec<ServerRefView> {
    let ids = mcp.servers.iter();
    ids.map(|id| ServerRefView {
        mcp_server_id: id.to_string(),
    })
    .collect()
}

pub(crate) fn view_tool_overrides(mcp: &McpGrants) -> Vec<ToolOverrideView> {
    let tools = mcp.tool_overrides.iter();
    tools
        .map(|tool| ToolOverrideView {
            mcp_client_id: tool.mcp_client_id.to_string(),
            tool_name: tool.tool_name.clone(),
            action: match tool.action {
                ToolAction::Include => "include",
                ToolAction::Exclude => "exclude",
            },
        })
        .collect()
}

pub(crate) const fn price_word(choice: OnUnknownPrice) -> &'static str {
    match choice {
        OnUnknownPrice::Deny => "deny",
        OnUnknownPrice::Allow => "allow",
    }
}

pub(crate) const fn reservation_word(choice: Reservation) -> &'static str {
    match choice {
        Reservation::Estimate => "estimate",
        Reservation::Bound => "bound",
    }
}

/// A user's copy of a profile, with its own counters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserCopyView {
    pub(crate) id: String,
    pub(crate) user_id: String,
    /// The template; the id that stands in paths.
    pub(crate) parent_profile_id: i64,
    pub(crate) name: String,
    pub(crate) is_active: bool,
    /// When it stops granting; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Timestamp>,
    /// Smaller pays first.
    pub(crate) priority: i64,
    /// The template's version that the content is from.
    pub(crate) profile_version: i64,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) assigned_at: Timestamp,
    /// The user's managed keys, which speak for all of the user's copies.
    pub(crate) virtual_key_ids: Vec<String>,
    /// Their values, masked, by id.
    pub(crate) virtual_key_values: BTreeMap<String, String>,
    pub(crate) provider_configs: Vec<ProviderConfigView>,
    pub(crate) budgets: Vec<BudgetView>,
    pub(crate) rate_limit: Option<RateLimitView>,
    pub(crate) calendar_aligned: bool,
    pub(crate) time_zone: String,
    pub(crate) mcp_tool_groups: Vec<ToolGroupRefView>,
    pub(crate) mcp_servers: Vec<ServerRefView>,
    pub(crate) mcp_tool_overrides: Vec<ToolOverrideView>,
    /// `deny` or `allow`.
    pub(crate) on_unknown_price: &'static str,
    /// `estimate` or `bound`.
    pub(crate) reservation: &'static str,
    pub(crate) shadow: bool,
}
