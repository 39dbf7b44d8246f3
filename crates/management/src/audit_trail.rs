//! The whole audit trail.

use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_storage::audit::{self, AuditEntry, AuditFilter};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use crate::answers::Refusals;
use crate::context::{Require, ViewAuditLogs};
use crate::extract::{Json, Page, Query, count};
use crate::operations::Operations;
use crate::problem::Answer;

/// The operation on the audit trail.
pub(crate) fn operations() -> Operations {
    Operations::new().routes(|| routes!(list_audit_entries))
}

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListAuditEntries {
    /// At most so many, 1 to 100; 25 unless said otherwise.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// After so many.
    offset: Option<u32>,
    /// A part of the actor, the action, or the kind or id of the thing.
    search: Option<String>,
    /// Only this action, such as `create`.
    action: Option<String>,
    /// Only things of this kind, such as `virtual_key`.
    target_kind: Option<String>,
    /// Only the thing with this id.
    target_id: Option<String>,
}

/// A part of the audit trail, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntryList {
    audit_logs: Vec<AuditEntryView>,
    count: u64,
    total_count: u64,
    limit: u32,
    offset: u32,
}

/// Who did what to what.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntryView {
    id: String,
    /// The id of the management key, or what acted by itself.
    actor: String,
    action: String,
    target_kind: String,
    target_id: String,
    access_profile_id: Option<i64>,
    user_id: Option<String>,
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

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id.to_string(),
            actor: entry.actor,
            action: entry.action,
            target_kind: entry.target_kind,
            target_id: entry.target_id,
            access_profile_id: entry.profile.map(|id| id.0),
            user_id: entry.user.map(|id| id.to_string()),
            previous_values: entry.previous_values,
            new_values: entry.new_values,
            metadata: entry.metadata,
            created_at: entry.at,
        }
    }
}

/// List the audit trail
#[utoipa::path(
    get, path = "/audit-logs", tag = "audit trail",
    params(ListAuditEntries),
    responses((status = 200, body = AuditEntryList), Refusals),
    security(("management_key" = ["AuditLogs:View"]))
)]
pub(crate) async fn list_audit_entries(
    ctx: Require<ViewAuditLogs>,
    Query(query): Query<ListAuditEntries>,
) -> Answer<Json<AuditEntryList>> {
    let page = Page::new(query.limit, query.offset)?;
    let filter = AuditFilter {
        profile: None,
        user: None,
        action: query.action,
        target_kind: query.target_kind,
        target_id: query.target_id,
        search: query.search,
    };
    let found = audit::list(ctx.store(), &filter, page.into()).await?;
    let audit_logs: Vec<_> = found.items.into_iter().map(AuditEntryView::from).collect();
    Ok(Json(AuditEntryList {
        count: count(&audit_logs),
        audit_logs,
        total_count: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
