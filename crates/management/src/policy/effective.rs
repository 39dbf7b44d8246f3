use std::collections::BTreeSet;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::access::ToolSet;
use tollgate_domain::access::profile::{ProfileContent, ProviderConfig};
use tollgate_domain::ids::UserId;
use tollgate_domain::snapshot::{GroupProfileMode, KeyHolder, McpClient, Snapshot};
use tollgate_storage::groups::{self, members};
use tollgate_storage::{Store, copies};
use utoipa::ToSchema;

use crate::answers::Refusals;
use crate::context::{Require, ViewAccessProfiles};
use crate::extract::{Json, Path};
use crate::meters::{LimitReading, read_meters};
use crate::problem::Answer;
use crate::quota::meters_of_holder;
use crate::users;

/// What a user really has: the union of all live copies, and every limit that holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EffectivePolicy {
    user_id: String,
    /// Whether the user's keys open anything at all.
    is_active: bool,
    /// In the order in which they pay.
    grants: Vec<GrantView>,
    /// By copies in the same order.
    tool_grants: Vec<ToolGrantView>,
    limits: Vec<LimitReading>,
}

/// What one copy grants at one provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantView {
    provider: String,
    /// Whether the provider exists: else this grants nothing.
    is_configured: bool,
    all_models_allowed: bool,
    allowed_models: Vec<String>,
    blacklisted_models: Vec<String>,
    granted_by: GrantSource,
}

/// What one copy grants of one MCP client's tools.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToolGrantView {
    mcp_client_id: String,
    mcp_client_name: String,
    /// Whether all tools are granted, also those that the client gets later, but for `excluded_tools`.
    all_tools_allowed: bool,
    allowed_tools: Vec<String>,
    excluded_tools: Vec<String>,
    granted_by: GrantSource,
}

/// Which copy grants it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct GrantSource {
    copy_id: String,
    profile_id: i64,
    profile_version: i64,
    name: String,
    /// Smaller pays first.
    priority: i64,
    /// Whether it refuses nothing, and only notes what it would have refused: what it does not list can be called too.
    shadow: bool,
    /// When it stops granting.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// The team, business unit or customer that has the copy; null when the user has it.
    group_id: Option<String>,
    /// `unite` adds to the user's own grants, `restrict` caps them. Null for the user's own.
    mode: Option<&'static str>,
}

/// Read what a user really has
///
/// The union of the user's copies and those of the user's groups, which copy grants what, and every limit with what is
/// used, reserved and left of it.
#[utoipa::path(
    get, path = "/users/{user_id}/effective-policy", tag = "policy",
    params(("user_id" = String, Path, description = "The user's id")),
    responses((status = 200, body = EffectivePolicy), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn get_effective_policy(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<UserId>,
) -> Answer<Json<EffectivePolicy>> {
    let user = users::get_existing(ctx.store(), id).await?;
    let (snapshot, now) = (ctx.parts().policy.snapshot(), ctx.now());
    let mut granted = Granted {
        snapshot: &snapshot,
        models: Vec::new(),
        tools: Vec::new(),
    };
    for stored in copies::of_user(ctx.store(), id).await? {
        let copy = stored.copy;
        if !copy.is_active || copy.expires_at.is_some_and(|until| until <= now) {
            continue;
        }
        let source = GrantSource {
            copy_id: copy.id.to_string(),
            profile_id: copy.parent_profile_id.0,
            profile_version: copy.profile_version,
            name: copy.name,
            priority: copy.priority,
            shadow: copy.content.shadow,
            expires_at: copy.expires_at,
            group_id: None,
            mode: None,
        };
        granted.push(&copy.content, &source);
    }
    push_group_grants(ctx.store(), id, &mut granted).await?;
    let meters = meters_of_holder(&snapshot, KeyHolder::User(id), now);
    Ok(Json(EffectivePolicy {
        user_id: id.to_string(),
        is_active: user.is_active,
        grants: granted.models,
        tool_grants: granted.tools,
        limits: read_meters(&meters, ctx.parts().live.as_ref(), now),
    }))
}

/// What was gathered of the copies.
struct Granted<'a> {
    snapshot: &'a Snapshot,
    models: Vec<GrantView>,
    tools: Vec<ToolGrantView>,
}

impl Granted<'_> {
    fn push(&mut self, content: &ProfileContent, source: &GrantSource) {
        let snapshot = self.snapshot;
        let view = |config: &ProviderConfig| GrantView {
            provider: config.provider_name.to_string(),
            is_configured: snapshot.provider(config.provider_name.as_str()).is_some(),
            all_models_allowed: config.all_models_allowed,
            allowed_models: config.allowed_models.clone(),
            blacklisted_models: config.blacklisted_models.clone(),
            granted_by: source.clone(),
        };
        self.models
            .extend(content.provider_configs.iter().map(view));
        let tools = |client: &McpClient| {
            let granted = content.mcp.granted(client, snapshot.mcp())?;
            let texts = |names: BTreeSet<&str>| names.into_iter().map(str::to_owned).collect();
            let (all_tools_allowed, allowed_tools, excluded_tools) = match granted {
                ToolSet::Only(names) => (false, texts(names), Vec::new()),
                ToolSet::AllBut(names) => (true, Vec::new(), texts(names)),
            };
            Some(ToolGrantView {
                mcp_client_id: client.id.to_string(),
                mcp_client_name: client.name.to_string(),
                all_tools_allowed,
                allowed_tools,
                excluded_tools,
                granted_by: source.clone(),
            })
        };
        self.tools
            .extend(snapshot.mcp().clients().filter_map(tools));
    }
}

async fn push_group_grants(store: &Store, user: UserId, granted: &mut Granted<'_>) -> Answer<()> {
    let of_user = members::of_user(store, user).await?;
    for (group, copy) in groups::profiles::of_groups(store, &of_user).await? {
        if !copy.is_active {
            continue;
        }
        let source = GrantSource {
            copy_id: copy.id.to_string(),
            profile_id: copy.parent_profile_id.0,
            profile_version: copy.profile_version,
            name: copy.name,
            priority: 0,
            shadow: copy.content.shadow,
            expires_at: None,
            group_id: Some(crate::groups::id_text(group)),
            mode: Some(match copy.mode {
                GroupProfileMode::Unite => "unite",
                GroupProfileMode::Restrict => "restrict",
            }),
        };
        granted.push(&copy.content, &source);
    }
    Ok(())
}
