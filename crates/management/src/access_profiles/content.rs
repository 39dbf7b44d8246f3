//! From what a request says to what a profile is: the pure part of create and update.

use std::collections::HashSet;

use tollgate_domain::IdSource;
use tollgate_domain::access::profile::{
    AccessProfile, McpGrants, OnUnknownPrice, ProfileContent, Reservation, ToolAction, ToolOverride,
};
use tollgate_domain::ids::{McpClientId, ToolGroupId};
use tollgate_domain::time::Zone;

use crate::body::{
    Description, Name, NotBlank, Patch, Problems, RotationInterval, Tag, Within, body,
};
use crate::limits::{
    BudgetInput, RateLimitInput, check_budgets, check_rate_limit, merge_budgets, merge_rate_limit,
};
use crate::problem::Problem;
use crate::provider_configs::{
    ProviderConfigInput, check_provider_configs, merge_provider_configs,
};

/// Most provider configs, budgets and tags in one update. Creating a profile does not enforce these.
const MAX_PROVIDER_CONFIGS: usize = 100;
const MAX_BUDGETS: usize = 100;
const MAX_TAGS: usize = 50;

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
        tags: given Vec<Tag>,
        /// Replaces the whole list; at most 100.
        provider_configs: given Vec<ProviderConfigInput>,
        /// Replaces the whole list; at most 100. A line keeps its id and usage when it names an old line's id, or else
        /// matches, in order, an old line with the same duration.
        budgets: given Vec<BudgetInput>,
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
        tool_group_id: required ToolGroupId,
    }
}

body! {
    /// A whole MCP server.
    struct ServerRef {
        /// The MCP client's id.
        mcp_server_id: required McpClientId,
    }
}

body! {
    /// A single MCP tool, granted or taken away. Taking away wins over groups and servers.
    struct ToolOverrideInput {
        /// The MCP client that has the tool.
        mcp_client_id: required McpClientId,
        /// The tool's name.
        tool_name: required NotBlank,
        /// `include` or `exclude`.
        action: required ToolAction,
    }
}

/// Which of the MCP things that a body names exist.
#[derive(Debug, Default)]
pub(crate) struct KnownMcp {
    pub(crate) tool_groups: HashSet<ToolGroupId>,
    pub(crate) clients: HashSet<McpClientId>,
}

/// The MCP things that a body names.
pub(crate) fn named_mcp(body: &UpdateAccessProfile) -> (Vec<ToolGroupId>, Vec<McpClientId>) {
    let groups = body.mcp_tool_groups.iter().flatten();
    let servers = body.mcp_servers.iter().flatten();
    let overrides = body.mcp_tool_overrides.iter().flatten();
    (
        groups.map(|group| group.tool_group_id).collect(),
        servers
            .map(|server| server.mcp_server_id)
            .chain(overrides.map(|tool| tool.mcp_client_id))
            .collect(),
    )
}

impl From<CreateAccessProfile> for UpdateAccessProfile {
    /// A new profile is the empty one, updated.
    fn from(body: CreateAccessProfile) -> Self {
        Self {
            name: Some(body.name),
            description: body.description.map_or(Patch::Absent, Patch::Value),
            is_active: body.is_active,
            tags: body.tags,
            provider_configs: body.provider_configs,
            budgets: body.budgets,
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

/// The three limits that an update has and a creation has not.
pub(crate) fn check_update_sizes(body: &UpdateAccessProfile, problems: &mut Problems) {
    let lists = [
        (
            "provider_configs",
            body.provider_configs.as_ref().map(Vec::len),
            MAX_PROVIDER_CONFIGS,
        ),
        ("budgets", body.budgets.as_ref().map(Vec::len), MAX_BUDGETS),
        ("tags", body.tags.as_ref().map(Vec::len), MAX_TAGS),
    ];
    for (name, length, most) in lists {
        if let Some(length) = length.filter(|length| *length > most) {
            problems.push(
                format!("/{name}"),
                "too_many",
                format!("an update takes at most {most} `{name}`, this has {length}"),
            );
        }
    }
}

/// The profile after the update. Version and instants are left as they are.
///
/// # Errors
/// Everything that is wrong with the body, together with `problems` found before.
pub(crate) fn apply_update(
    current: &AccessProfile,
    body: UpdateAccessProfile,
    known: &KnownMcp,
    ids: &dyn IdSource,
    mut problems: Problems,
) -> Result<AccessProfile, Problem> {
    check(&body, known, &mut problems);
    problems.into_result()?;
    let old = &current.content;
    let mcp = &old.mcp;
    let mut thresholds = body.alert_thresholds.map_or_else(
        || old.alert_thresholds.clone(),
        |new| new.iter().map(|percent| percent.0).collect(),
    );
    thresholds.sort_unstable();
    thresholds.dedup();
    let mut limits = old.limits.clone();
    if let Some(budgets) = &body.budgets {
        limits.budgets = merge_budgets(&old.limits.budgets, budgets, ids);
    }
    limits.rate_limit = match &body.rate_limit {
        Patch::Absent => limits.rate_limit,
        Patch::Null => None,
        Patch::Value(new) => Some(merge_rate_limit(old.limits.rate_limit.as_ref(), new, ids)),
    };
    Ok(AccessProfile {
        name: body.name.map_or_else(|| current.name.clone(), String::from),
        description: body.description.apply_to(current.description.clone()),
        is_active: body.is_active.unwrap_or(current.is_active),
        tags: body.tags.map_or_else(|| current.tags.clone(), read_tags),
        content: ProfileContent {
            provider_configs: body.provider_configs.map_or_else(
                || old.provider_configs.clone(),
                |new| merge_provider_configs(&old.provider_configs, &new, ids),
            ),
            limits,
            calendar_aligned: body.calendar_aligned.unwrap_or(old.calendar_aligned),
            time_zone: body.time_zone.unwrap_or_else(|| old.time_zone.clone()),
            mcp: McpGrants {
                tool_groups: body.mcp_tool_groups.map_or_else(
                    || mcp.tool_groups.clone(),
                    |new| new.iter().map(|one| one.tool_group_id).collect(),
                ),
                servers: body.mcp_servers.map_or_else(
                    || mcp.servers.clone(),
                    |new| new.iter().map(|one| one.mcp_server_id).collect(),
                ),
                tool_overrides: body.mcp_tool_overrides.map_or_else(
                    || mcp.tool_overrides.clone(),
                    |new| new.into_iter().map(ToolOverride::from).collect(),
                ),
            },
            reservation: body.reservation.unwrap_or(old.reservation),
            on_unknown_price: body.on_unknown_price.unwrap_or(old.on_unknown_price),
            shadow: body.shadow.unwrap_or(old.shadow),
            alert_thresholds: thresholds,
            auto_rotation_interval_ns: body
                .auto_rotation_interval
                .map_or(old.auto_rotation_interval_ns, |interval| interval.0),
            govern_created_keys: body.govern_created_keys.unwrap_or(old.govern_created_keys),
        },
        ..current.clone()
    })
}

impl From<ToolOverrideInput> for ToolOverride {
    fn from(input: ToolOverrideInput) -> Self {
        Self {
            mcp_client_id: input.mcp_client_id,
            tool_name: input.tool_name.into(),
            action: input.action,
        }
    }
}

/// What the reader of single fields cannot see.
fn check(body: &UpdateAccessProfile, known: &KnownMcp, problems: &mut Problems) {
    if let Some(configs) = &body.provider_configs {
        check_provider_configs(configs, "/provider_configs", "provider_name", problems);
    }
    if let Some(budgets) = &body.budgets {
        check_budgets(budgets, "/budgets", problems);
    }
    if let Patch::Value(limit) = &body.rate_limit {
        check_rate_limit(limit, "/rate_limit", problems);
    }
    check_mcp(body, known, problems);
}

fn check_mcp(body: &UpdateAccessProfile, known: &KnownMcp, problems: &mut Problems) {
    for (index, group) in body.mcp_tool_groups.iter().flatten().enumerate() {
        let id = group.tool_group_id;
        if !known.tool_groups.contains(&id) {
            problems.unknown(
                format!("/mcp_tool_groups/{index}/tool_group_id"),
                format!("no tool group `{id}` exists"),
            );
        }
    }
    let mut check_client = |pointer: String, id: McpClientId| {
        if !known.clients.contains(&id) {
            problems.unknown(pointer, format!("no MCP client `{id}` exists"));
        }
    };
    for (index, server) in body.mcp_servers.iter().flatten().enumerate() {
        check_client(
            format!("/mcp_servers/{index}/mcp_server_id"),
            server.mcp_server_id,
        );
    }
    for (index, tool) in body.mcp_tool_overrides.iter().flatten().enumerate() {
        check_client(
            format!("/mcp_tool_overrides/{index}/mcp_client_id"),
            tool.mcp_client_id,
        );
    }
}

/// Each once, in their order.
fn read_tags(tags: Vec<Tag>) -> Vec<String> {
    let mut seen = HashSet::new();
    tags.into_iter()
        .map(String::from)
        .filter(|tag| seen.insert(tag.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
