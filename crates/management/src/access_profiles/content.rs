//! From what a request says to what a profile is: the pure part of create and update.

use std::collections::{BTreeSet, HashSet};

use tollgate_domain::IdSource;
use tollgate_domain::access::profile::{
    AccessProfile, McpGrants, OnUnknownPrice, ProfileContent, Reservation, ToolAction, ToolOverride,
};
use tollgate_domain::ids::{McpClientId, ToolGroupId};
use tollgate_domain::time::Zone;

use crate::body::{
    AtMost, Description, Existing, Name, NotBlank, Patch, RotationInterval, Tag, Within, body,
};
use crate::limits::{BudgetInput, RateLimitInput, merge_budgets, merge_rate_limit};
use crate::provider_configs::{ProviderConfigInput, merge_provider_configs};

/// A part of a limit.
type Percent = Within<1, 100>;

body! {
    /// A new access profile. Everything but the name may be left out.
    struct CreateAccessProfile ignoring [
        "id", "version", "created_at", "updated_at", "next_rotation_at", "last_rotation_at",
    ] {
        /// 1 to 255 characters, unique without regard to case.
        name: required Name,
        /// For people.
        description: optional Description,
        /// Inactive profiles are hidden from new assignments. True unless said otherwise.
        is_active: optional bool,
        /// For finding it.
        tags: optional Vec<Tag>,
        /// What it grants, provider by provider.
        provider_configs: optional Vec<ProviderConfigInput>,
        /// Budgets on everything.
        budgets: optional Vec<BudgetInput>,
        /// Rate limit on everything.
        rate_limit: optional RateLimitInput,
        /// Whether windows follow the calendar of `time_zone`.
        calendar_aligned: optional bool,
        /// The IANA zone of aligned windows.
        time_zone: optional Zone,
        /// Groups of MCP tools.
        mcp_tool_groups: optional Vec<ToolGroupRef>,
        /// Whole MCP servers, also tools that they get later.
        mcp_servers: optional Vec<ServerRef>,
        /// Single MCP tools, granted or taken away.
        mcp_tool_overrides: optional Vec<ToolOverrideInput>,
        /// Between rotations of managed keys: nanoseconds, or `"30d"`, `"12h"`; 0 = off.
        auto_rotation_interval: optional RotationInterval,
        /// Whether keys that a holder makes are placed under the profile.
        govern_created_keys: optional bool,
        /// What happens to a model without a known price.
        on_unknown_price: optional OnUnknownPrice,
        /// How much a request holds before it is sent.
        reservation: optional Reservation,
        /// Records what the profile would have refused, and refuses nothing.
        shadow: optional bool,
        /// Percentages of a limit at which to alert.
        alert_thresholds: optional Vec<Percent>,
    }
}

body! {
    /// A partial update: what is left out is kept.
    struct UpdateAccessProfile ignoring [
        "id", "version", "created_at", "updated_at", "next_rotation_at", "last_rotation_at",
    ] {
        /// 1 to 255 characters, unique without regard to case.
        name: given Name,
        /// Null clears it.
        description: patch Description,
        /// Inactive profiles are hidden from new assignments.
        is_active: given bool,
        /// Replaces the whole list; at most 50.
        tags: given AtMost<50, Tag>,
        /// Replaces the whole list; at most 100.
        provider_configs: given AtMost<100, ProviderConfigInput>,
        /// Replaces the whole list; at most 100. A line keeps its id and usage when it names an old line's id, or else
        /// matches, in order, an old line with the same duration.
        budgets: given AtMost<100, BudgetInput>,
        /// Replaces the limit; null clears it.
        rate_limit: patch RateLimitInput,
        /// Null keeps the value.
        calendar_aligned: optional bool,
        /// The IANA zone of aligned windows.
        time_zone: given Zone,
        /// Replaces the whole list.
        mcp_tool_groups: given Vec<ToolGroupRef>,
        /// Replaces the whole list.
        mcp_servers: given Vec<ServerRef>,
        /// Replaces the whole list.
        mcp_tool_overrides: given Vec<ToolOverrideInput>,
        /// Between rotations of managed keys: nanoseconds, or `"30d"`, `"12h"`; 0 = off.
        auto_rotation_interval: given RotationInterval,
        /// Whether keys that a holder makes are placed under the profile.
        govern_created_keys: given bool,
        /// What happens to a model without a known price.
        on_unknown_price: given OnUnknownPrice,
        /// How much a request holds before it is sent.
        reservation: given Reservation,
        /// Records what the profile would have refused, and refuses nothing.
        shadow: given bool,
        /// Percentages of a limit at which to alert.
        alert_thresholds: given Vec<Percent>,
    }
}

body! {
    /// A group of MCP tools.
    struct ToolGroupRef {
        /// The group's id.
        tool_group_id: required Existing<ToolGroupId>,
    }
}

body! {
    /// A whole MCP server.
    struct ServerRef {
        /// The MCP client's id.
        mcp_server_id: required Existing<McpClientId>,
    }
}

body! {
    /// A single MCP tool, granted or taken away. Taking away wins over groups and servers.
    struct ToolOverrideInput {
        /// The MCP client that has the tool.
        mcp_client_id: required Existing<McpClientId>,
        /// The tool's name.
        tool_name: required NotBlank,
        /// `include` or `exclude`.
        action: required ToolAction,
    }
}

impl From<CreateAccessProfile> for UpdateAccessProfile {
    /// A new profile is the empty one, updated. The sizes of its lists are not limited.
    fn from(body: CreateAccessProfile) -> Self {
        Self {
            name: Some(body.name),
            description: body.description.map_or(Patch::Absent, Patch::Value),
            is_active: body.is_active,
            tags: body.tags.map(AtMost),
            provider_configs: body.provider_configs.map(AtMost),
            budgets: body.budgets.map(AtMost),
            rate_limit: body.rate_limit.map_or(Patch::Absent, Patch::Value),
            calendar_aligned: body.calendar_aligned,
            time_zone: body.time_zone,
            mcp_tool_groups: body.mcp_tool_groups,
            mcp_servers: body.mcp_servers,
            mcp_tool_overrides: body.mcp_tool_overrides,
            auto_rotation_interval: body.auto_rotation_interval,
            govern_created_keys: body.govern_created_keys,
            on_unknown_price: body.on_unknown_price,
            reservation: body.reservation,
            shadow: body.shadow,
            alert_thresholds: body.alert_thresholds,
        }
    }
}

/// The profile after the update. Version and instants are left as they are.
pub(crate) fn apply_update(
    current: &AccessProfile,
    body: UpdateAccessProfile,
    ids: &dyn IdSource,
) -> AccessProfile {
    let old = &current.content;
    let mcp = &old.mcp;
    let thresholds = body.alert_thresholds.map(|percents| {
        let percents: BTreeSet<u32> = percents.into_iter().map(|percent| percent.0).collect();
        percents.into_iter().collect()
    });
    let mut limits = old.limits.clone();
    if let Some(AtMost(budgets)) = &body.budgets {
        limits.budgets = merge_budgets(&old.limits.budgets, budgets, ids);
    }
    limits.rate_limit = match &body.rate_limit {
        Patch::Absent => limits.rate_limit,
        Patch::Null => None,
        Patch::Value(new) => Some(merge_rate_limit(old.limits.rate_limit.as_ref(), new, ids)),
    };
    AccessProfile {
        name: body.name.map_or_else(|| current.name.clone(), String::from),
        description: body.description.apply_to(current.description.clone()),
        is_active: body.is_active.unwrap_or(current.is_active),
        tags: body.tags.map_or_else(|| current.tags.clone(), read_tags),
        content: ProfileContent {
            provider_configs: body.provider_configs.map_or_else(
                || old.provider_configs.clone(),
                |AtMost(new)| merge_provider_configs(&old.provider_configs, &new, ids),
            ),
            limits,
            calendar_aligned: body.calendar_aligned.unwrap_or(old.calendar_aligned),
            time_zone: body.time_zone.unwrap_or_else(|| old.time_zone.clone()),
            mcp: McpGrants {
                tool_groups: body.mcp_tool_groups.map_or_else(
                    || mcp.tool_groups.clone(),
                    |new| new.iter().map(|one| one.tool_group_id.0).collect(),
                ),
                servers: body.mcp_servers.map_or_else(
                    || mcp.servers.clone(),
                    |new| new.iter().map(|one| one.mcp_server_id.0).collect(),
                ),
                tool_overrides: body.mcp_tool_overrides.map_or_else(
                    || mcp.tool_overrides.clone(),
                    |new| new.into_iter().map(ToolOverride::from).collect(),
                ),
            },
            reservation: body.reservation.unwrap_or(old.reservation),
            on_unknown_price: body.on_unknown_price.unwrap_or(old.on_unknown_price),
            shadow: body.shadow.unwrap_or(old.shadow),
            alert_thresholds: thresholds.unwrap_or_else(|| old.alert_thresholds.clone()),
            auto_rotation_interval_ns: body
                .auto_rotation_interval
                .map_or(old.auto_rotation_interval_ns, |interval| interval.0),
            govern_created_keys: body.govern_created_keys.unwrap_or(old.govern_created_keys),
        },
        ..current.clone()
    }
}

impl From<ToolOverrideInput> for ToolOverride {
    fn from(input: ToolOverrideInput) -> Self {
        Self {
            mcp_client_id: input.mcp_client_id.0,
            tool_name: input.tool_name.into(),
            action: input.action,
        }
    }
}

/// Each once, in their order.
fn read_tags(AtMost(tags): AtMost<50, Tag>) -> Vec<String> {
    let mut seen = HashSet::new();
    tags.into_iter()
        .map(String::from)
        .filter(|tag| seen.insert(tag.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
