//! What a copy takes over, part by part, as dry runs and drift show it.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tollgate_domain::access::profile::ProfileContent;
use utoipa::ToSchema;

use super::copying::Field;
use super::view::{
    price_word, reservation_word, view_configs, view_servers, view_tool_groups, view_tool_overrides,
};
use crate::limits::no_usage;
use crate::problem::{Answer, Problem};
use crate::provider_configs::{view_budgets, view_rate_limit};

/// A part of a copy that differs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldChange {
    /// `provider_configs`, `budgets`, `rate_limit`, `mcp_tool_groups`, `mcp_servers`, `mcp_tool_overrides` or `settings`.
    pub(crate) field: &'static str,
    /// What the copy has.
    #[schema(value_type = Value)]
    pub(crate) before: Box<RawValue>,
    /// What it would have.
    #[schema(value_type = Value)]
    pub(crate) after: Box<RawValue>,
}

/// Windows and their lines belong together: a change of either is shown with both.
#[derive(Serialize)]
struct WithWindows<T> {
    lines: T,
    calendar_aligned: bool,
    time_zone: String,
}

#[derive(Serialize)]
struct SettingsView<'a> {
    reservation: &'static str,
    on_unknown_price: &'static str,
    shadow: bool,
    alert_thresholds: &'a [u32],
    auto_rotation_interval: i64,
    govern_created_keys: bool,
}

/// The parts in which two contents differ.
pub(crate) fn changes(before: &ProfileContent, after: &ProfileContent) -> Answer<Vec<FieldChange>> {
    let mut found = Vec::new();
    for field in Field::ALL {
        let (before, after) = (show(before, field)?, show(after, field)?);
        if before.get() != after.get() {
            found.push(FieldChange {
                field: field.as_str(),
                before,
                after,
            });
        }
    }
    Ok(found)
}

fn show(content: &ProfileContent, field: Field) -> Answer<Box<RawValue>> {
    let readings = no_usage(tollgate_domain::Timestamp::default());
    let shown = match field {
        Field::ProviderConfigs => to_raw_value(&view_configs(content, &|_| None, &readings)),
        Field::Budgets => to_raw_value(&with_windows(
            content,
            view_budgets(&content.limits, "total", &|_| None, &readings),
        )),
        Field::RateLimit => to_raw_value(&with_windows(
            content,
            view_rate_limit(&content.limits, &readings),
        )),
        Field::McpToolGroups => to_raw_value(&view_tool_groups(&content.mcp)),
        Field::McpServers => to_raw_value(&view_servers(&content.mcp)),
        Field::McpToolOverrides => to_raw_value(&view_tool_overrides(&content.mcp)),
        Field::Settings => to_raw_value(&SettingsView {
            reservation: reservation_word(content.reservation),
            on_unknown_price: price_word(content.on_unknown_price),
            shadow: content.shadow,
            alert_thresholds: &content.alert_thresholds,
            auto_rotation_interval: content.auto_rotation_interval_ns,
            govern_created_keys: content.govern_created_keys,
        }),
    };
    shown.map_err(|error| Problem::internal(&error))
}

fn with_windows<T>(content: &ProfileContent, lines: T) -> WithWindows<T> {
    WithWindows {
        lines,
        calendar_aligned: content.calendar_aligned,
        time_zone: content.time_zone.to_string(),
    }
}
