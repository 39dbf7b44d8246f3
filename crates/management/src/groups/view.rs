use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::groups::StoredGroup;
use utoipa::ToSchema;

use super::id_text;
use crate::access_profiles::view::{price_word, reservation_word};
use crate::context::Context;
use crate::limits::{BudgetView, RateLimitView, Readings};
use crate::provider_configs::{view_budgets, view_rate_limit};

/// A team, customer or business unit.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GroupView {
    id: String,
    name: String,
    description: Option<String>,
    budgets: Vec<BudgetView>,
    rate_limit: Option<RateLimitView>,
    calendar_aligned: bool,
    time_zone: String,
    /// `estimate` or `bound`.
    reservation: &'static str,
    /// `deny` or `allow`.
    on_unknown_price: &'static str,
    /// The customer above a team.
    customer_id: Option<String>,
    /// The business unit above a team.
    business_unit_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A part of a list of groups, without the name under which the answer has it.
#[derive(Debug)]
pub(crate) struct GroupPage {
    pub(crate) groups: Vec<GroupView>,
    pub(crate) total_count: u64,
    pub(crate) page: crate::extract::Page,
}

impl GroupView {
    /// The group with what is used of its limits now.
    pub(super) fn new(ctx: &Context, group: &StoredGroup) -> Self {
        let content = &group.content;
        let readings = Readings::of(ctx, content, group.created_at);
        let parent = |wanted: fn(&GroupId) -> bool| {
            group
                .parents
                .iter()
                .find(|id| wanted(id))
                .map(|id| id_text(*id))
        };
        Self {
            id: id_text(group.id),
            name: group.name.clone(),
            description: group.description.clone(),
            budgets: view_budgets(&content.limits, "total", &|_| None, &readings),
            rate_limit: view_rate_limit(&content.limits, &readings),
            calendar_aligned: content.calendar_aligned,
            time_zone: content.time_zone.to_string(),
            reservation: reservation_word(content.reservation),
            on_unknown_price: price_word(content.on_unknown_price),
            customer_id: parent(|id| matches!(id, GroupId::Customer(_))),
            business_unit_id: parent(|id| matches!(id, GroupId::BusinessUnit(_))),
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}
