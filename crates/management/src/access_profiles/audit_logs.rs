use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ProfileId, UserId};
use tollgate_storage::audit::{self, AuditEntry, AuditFilter};
use utoipa::{IntoParams, ToSchema};

use crate::answers::Refusals;
use crate::context::{Context, Require, ViewAccessProfiles};
use crate::extract::{Json, Page, Path, Query, count};
use crate::problem::{Answer, Problem};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAuditLogs {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the actor, the action or the profile's id.
    search: Option<String>,
    /// Only this action: `create`, `update`, `delete`, `propagate`, `attach_role`, `detach_role`, `clone`, `activate`,
    /// `deactivate`, `assign`, `detach`, `expire`, `override` or `restore`.
    action: Option<String>,
    /// Only about this user.
    #[param(pattern = r"^user_[0-9a-f]{32}$")]
    user_id: Option<String>,
}

/// A part of the audit trail, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditLogList {
    audit_logs: Vec<AuditLogView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// Who did what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditLogView {
    id: String,
    access_profile_id: Option<i64>,
    user_id: Option<String>,
    /// The id of the management key, or what acted by itself.
    actor: String,
    action: String,
    /// JSON text.
    previous_values: Option<String>,
    /// JSON text.
    new_values: Option<String>,
    /// JSON text. Its `usage_starts_anew` names the limits whose usage does not go on: those that are new, or count over
    /// another duration.
    metadata: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<AuditEntry> for AuditLogView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            access_profile_id: entry.profile.map(|id| id.0),
            user_id: entry.user.map(|id| id.to_string()),
            actor: entry.actor,
            action: entry.action,
            previous_values: entry.previous_values,
            new_values: entry.new_values,
            metadata: entry.metadata,
            created_at: entry.at,
        }
    }
}

/// List what was done to access profiles
#[utoipa::path(
    get, path = "/access-profiles/audit-logs", tag = "access profiles",
    params(ListAuditLogs),
    responses((status = 200, body = AuditLogList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_all_access_profile_audit_logs(
    ctx: Require<ViewAccessProfiles>,
    Query(query): Query<ListAuditLogs>,
) -> Answer<Json<AuditLogList>> {
    list(&ctx, query, None).await
}

/// List what was done to an access profile
///
/// Also after it was deleted.
#[utoipa::path(
    get, path = "/access-profiles/{profile_id}/audit-logs", tag = "access profiles",
    params(("profile_id" = i64, Path, description = "The profile's id", minimum = 0), ListAuditLogs),
    responses((status = 200, body = AuditLogList), Refusals),
    security(("management_key" = ["AccessProfiles:View"]))
)]
pub(crate) async fn list_access_profile_audit_logs(
    ctx: Require<ViewAccessProfiles>,
    Path(id): Path<ProfileId>,
    Query(query): Query<ListAuditLogs>,
) -> Answer<Json<AuditLogList>> {
    list(&ctx, query, Some(id)).await
}

async fn list(
    ctx: &Context,
    query: ListAuditLogs,
    profile: Option<ProfileId>,
) -> Answer<Json<AuditLogList>> {
    let page = Page::new(query.limit, query.offset)?;
    let user = query.user_id.map(|text| text.parse::<UserId>()).transpose();
    let filter = AuditFilter {
        profile,
        user: user.map_err(|error| Problem::invalid("/query/user_id", error.to_string()))?,
        action: query.action,
        target_kind: Some("access_profile".to_owned()),
        target_id: None,
        search: query.search,
    };
    let found = audit::list(ctx.store(), &filter, page.into()).await?;
    let audit_logs: Vec<_> = found.items.into_iter().map(AuditLogView::from).collect();
    Ok(Json(AuditLogList {
        count: count(&audit_logs),
        audit_logs,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
