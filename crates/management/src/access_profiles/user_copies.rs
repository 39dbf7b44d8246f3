//! The profiles that a user holds.

mod assign;
mod detach;
mod list;
mod override_budget;

use std::sync::Arc;

use serde::Serialize;
use tollgate_domain::Usd;
use tollgate_domain::access::profile::UserCopy;
use tollgate_domain::ids::BudgetId;
use tollgate_domain::limits::Meter;
use tollgate_storage::virtual_keys::VirtualKey;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::view::{
    UserCopyView, price_word, reservation_word, view_configs, view_servers, view_tool_groups,
    view_tool_overrides,
};
use crate::context::Context;
use crate::limits::{Override, Readings};
use crate::meters::copy_meters;
use crate::operations::Operations;
use crate::problem::{Answer, Problem};
use crate::provider_configs::{view_budgets, view_rate_limit};

/// The operations on a user's copies.
pub(super) fn operations() -> Operations {
    Operations::new()
        .routes(|| {
            routes!(
                list::list_user_access_profiles,
                assign::assign_access_profile
            )
        })
        .routes(|| routes!(detach::detach_access_profile))
        .routes(|| {
            routes!(
                override_budget::set_budget_override,
                override_budget::delete_budget_override
            )
        })
}

/// A key just made, with its secret for the only time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewVirtualKey {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The secret. It is not stored and cannot be shown again.
    pub(crate) value: String,
}

impl From<super::assignment::IssuedKey> for NewVirtualKey {
    fn from(issued: super::assignment::IssuedKey) -> Self {
        Self {
            id: issued.key.id.to_string(),
            name: issued.key.name,
            value: issued.secret.reveal(),
        }
    }
}

/// The live meters of a copy.
pub(crate) fn meters(copy: &UserCopy) -> Answer<Vec<Arc<Meter>>> {
    let compiled = copy.compile().map_err(|error| Problem::internal(&error))?;
    Ok(copy_meters(&compiled))
}

/// What the copy's meters show now.
fn readings(ctx: &Context, copy: &UserCopy) -> Answer<Readings> {
    let live = ctx.parts().live.as_ref();
    Ok(Readings::read(
        &meters(copy)?,
        live,
        copy.assigned_at,
        ctx.now(),
    ))
}

/// The raise of a budget, as answers show it.
fn boost_view(copy: &UserCopy, id: BudgetId) -> Option<Override> {
    copy.overrides.get(&id).map(|boost| Override {
        amount: Usd::from_nanos(boost.amount),
        mode: if boost.until.is_some() {
            "cycles"
        } else {
            "forever"
        },
        until: boost.until,
    })
}

/// The copy as answers show it, with its live usage.
pub(crate) fn view(ctx: &Context, copy: &UserCopy, keys: &[VirtualKey]) -> Answer<UserCopyView> {
    let readings = readings(ctx, copy)?;
    let boost = |id: BudgetId| boost_view(copy, id);
    let content = &copy.content;
    let managed = || keys.iter().filter(|key| key.is_managed);
    Ok(UserCopyView {
        id: copy.id.to_string(),
        user_id: copy.user_id.to_string(),
        parent_profile_id: copy.parent_profile_id.0,
        name: copy.name.clone(),
        is_active: copy.is_active,
        expires_at: copy.expires_at,
        priority: copy.priority,
        profile_version: copy.profile_version,
        assigned_at: copy.assigned_at,
        virtual_key_ids: managed().map(|key| key.id.to_string()).collect(),
        virtual_key_values: managed()
            .map(|key| (key.id.to_string(), key.masked_value.clone()))
            .collect(),
        provider_configs: view_configs(content, &boost, &readings),
        budgets: view_budgets(&content.limits, "total", &boost, &readings),
        rate_limit: view_rate_limit(&content.limits, &readings),
        calendar_aligned: content.calendar_aligned,
        time_zone: content.time_zone.to_string(),
        mcp_tool_groups: view_tool_groups(&content.mcp),
        mcp_servers: view_servers(&content.mcp),
        mcp_tool_overrides: view_tool_overrides(&content.mcp),
        on_unknown_price: price_word(content.on_unknown_price),
        reservation: reservation_word(content.reservation),
        shadow: content.shadow,
    })
}
