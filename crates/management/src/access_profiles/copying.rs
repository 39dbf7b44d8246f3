//! What a copy takes over from its template: the pure part of assigning and propagating.

use aws_lc_rs::digest::{SHA256, digest};
use tollgate_domain::access::profile::{ModelBudget, ProfileContent, ProviderConfig};
use tollgate_domain::ids::{BudgetId, RateLimitId};
use tollgate_domain::limits::{BudgetLine, LimitSet, RateLimitLine};
use uuid::{Builder, Uuid};

/// A part of a profile that can be propagated by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Field {
    ProviderConfigs,
    Budgets,
    RateLimit,
    McpToolGroups,
    McpServers,
    McpToolOverrides,
    Settings,
}

impl Field {
    pub(crate) const ALL: [Self; 7] = [
        Self::ProviderConfigs,
        Self::Budgets,
        Self::RateLimit,
        Self::McpToolGroups,
        Self::McpServers,
        Self::McpToolOverrides,
        Self::Settings,
    ];

    /// As the API writes it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ProviderConfigs => "provider_configs",
            Self::Budgets => "budgets",
            Self::RateLimit => "rate_limit",
            Self::McpToolGroups => "mcp_tool_groups",
            Self::McpServers => "mcp_servers",
            Self::McpToolOverrides => "mcp_tool_overrides",
            Self::Settings => "settings",
        }
    }
}

/// The content of the copy with the id `copy` after it took `fields` over from its template.
///
/// Each line of the template has one line in the copy, whose id follows from the two: so usage follows the template's
/// line through every edit, taking over twice is taking over once, and a profile that is given back finds its
/// counters. A line that is new in the template takes the place, and the usage, of a line of the same duration that is
/// gone from it.
pub(crate) fn take_over(
    copy: Uuid,
    old: &ProfileContent,
    template: &ProfileContent,
    fields: &[Field],
) -> ProfileContent {
    let mut content = old.clone();
    for field in fields {
        match field {
            Field::ProviderConfigs => {
                content.provider_configs = template
                    .provider_configs
                    .iter()
                    .map(|config| copy_config(copy, &old.provider_configs, config))
                    .collect();
            }
            Field::Budgets => {
                content.limits.budgets =
                    copy_budgets(copy, &old.limits.budgets, &template.limits.budgets);
            }
            Field::RateLimit => {
                content.limits.rate_limit = copy_rate_limit(
                    copy,
                    old.limits.rate_limit.as_ref(),
                    template.limits.rate_limit.as_ref(),
                );
            }
            Field::McpToolGroups => {
                content
                    .mcp
                    .tool_groups
                    .clone_from(&template.mcp.tool_groups);
            }
            Field::McpServers => content.mcp.servers.clone_from(&template.mcp.servers),
            Field::McpToolOverrides => {
                content
                    .mcp
                    .tool_overrides
                    .clone_from(&template.mcp.tool_overrides);
            }
            Field::Settings => {
                content.reservation = template.reservation;
                content.on_unknown_price = template.on_unknown_price;
                content.shadow = template.shadow;
                content
                    .alert_thresholds
                    .clone_from(&template.alert_thresholds);
                content.auto_rotation_interval_ns = template.auto_rotation_interval_ns;
                content.govern_created_keys = template.govern_created_keys;
            }
        }
        if matches!(field, Field::Budgets | Field::RateLimit) {
            content.calendar_aligned = template.calendar_aligned;
            content.time_zone = template.time_zone.clone();
        }
    }
    content
}

fn copy_config(copy: Uuid, old: &[ProviderConfig], new: &ProviderConfig) -> ProviderConfig {
    let before = old
        .iter()
        .find(|old| old.provider_name == new.provider_name);
    ProviderConfig {
        limits: copy_limits(copy, before.map(|old| &old.limits), &new.limits),
        model_budgets: new
            .model_budgets
            .iter()
            .map(|line| {
                let before = before
                    .and_then(|old| old.model_budgets.iter().find(|old| old.model == line.model));
                ModelBudget {
                    model: line.model.clone(),
                    limits: copy_limits(copy, before.map(|old| &old.limits), &line.limits),
                }
            })
            .collect(),
        ..new.clone()
    }
}

fn copy_limits(copy: Uuid, old: Option<&LimitSet>, new: &LimitSet) -> LimitSet {
    LimitSet {
        budgets: copy_budgets(copy, old.map_or(&[][..], |old| &old.budgets), &new.budgets),
        rate_limit: copy_rate_limit(
            copy,
            old.and_then(|old| old.rate_limit.as_ref()),
            new.rate_limit.as_ref(),
        ),
    }
}

fn copy_budgets(copy: Uuid, old: &[BudgetLine], new: &[BudgetLine]) -> Vec<BudgetLine> {
    let own_id = |line: &BudgetLine| BudgetId::from_uuid(derive(copy, line.id.uuid()));
    let mut free: Vec<&BudgetLine> = old
        .iter()
        .filter(|old| !new.iter().any(|new| own_id(new) == old.id))
        .collect();
    let mut lines = Vec::with_capacity(new.len());
    for line in new {
        let own = own_id(line);
        let is_known = old.iter().any(|old| old.id == own);
        let id = if is_known {
            own
        } else {
            take_alike(&mut free, line).unwrap_or(own)
        };
        lines.push(BudgetLine { id, ..line.clone() });
    }
    lines
}

fn take_alike(free: &mut Vec<&BudgetLine>, line: &BudgetLine) -> Option<BudgetId> {
    let at = free.iter().position(|old| {
        old.reset_duration == line.reset_duration
            && old.quarter_start_month.unwrap_or(1) == line.quarter_start_month.unwrap_or(1)
    })?;
    Some(free.remove(at).id)
}

fn copy_rate_limit(
    copy: Uuid,
    old: Option<&RateLimitLine>,
    new: Option<&RateLimitLine>,
) -> Option<RateLimitLine> {
    let new = new?;
    let id = old.map_or_else(
        || RateLimitId::from_uuid(derive(copy, new.id.uuid())),
        |old| old.id,
    );
    Some(RateLimitLine { id, ..new.clone() })
}

/// The id of the line that stands in a copy for the template's line.
fn derive(copy: Uuid, line: Uuid) -> Uuid {
    let hash = digest(&SHA256, &[*copy.as_bytes(), *line.as_bytes()].concat());
    let mut bytes = [0_u8; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.as_ref()) {
        *byte = *hashed;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use tollgate_domain::limits::ResetDuration;
    use tollgate_domain::{IdSource as _, Usd};
    use tollgate_testkit::clock::SequentialIds;

    use super::*;

    fn line(ids: &SequentialIds, duration: ResetDuration) -> BudgetLine {
        BudgetLine {
            id: BudgetId::from_uuid(ids.next_uuid()),
            max_limit: Usd::from_nanos(1),
            reset_duration: duration,
            quarter_start_month: None,
        }
    }

    fn template(budgets: Vec<BudgetLine>) -> ProfileContent {
        ProfileContent {
            limits: LimitSet {
                budgets,
                rate_limit: None,
            },
            ..ProfileContent::default()
        }
    }

    #[test]
    fn taking_over_twice_is_taking_over_once() {
        let ids = SequentialIds::default();
        let copy = ids.next_uuid();
        let month = || line(&ids, ResetDuration::Month);
        let template = template(vec![month(), month()]);
        let once = take_over(copy, &ProfileContent::default(), &template, &Field::ALL);
        assert_eq!(take_over(copy, &once, &template, &Field::ALL), once);
        assert_ne!(once.limits.budgets[0].id, template.limits.budgets[0].id);
        let other = take_over(
            ids.next_uuid(),
            &ProfileContent::default(),
            &template,
            &Field::ALL,
        );
        assert_ne!(once.limits.budgets[0].id, other.limits.budgets[0].id);
    }

    #[test]
    fn usage_follows_the_templates_line() {
        let ids = SequentialIds::default();
        let copy = ids.next_uuid();
        let [first, second, day] = [
            line(&ids, ResetDuration::Month),
            line(&ids, ResetDuration::Month),
            line(&ids, ResetDuration::Day),
        ];
        let both = template(vec![first, second.clone()]);
        let old = take_over(copy, &ProfileContent::default(), &both, &Field::ALL);
        let only_second = template(vec![day, second]);
        let new = take_over(copy, &old, &only_second, &[Field::Budgets]);
        assert_eq!(new.limits.budgets[1].id, old.limits.budgets[1].id);
        assert!(
            old.limits
                .budgets
                .iter()
                .all(|line| line.id != new.limits.budgets[0].id)
        );
    }

    #[test]
    fn new_line_takes_the_place_of_one_that_is_gone() {
        let ids = SequentialIds::default();
        let copy = ids.next_uuid();
        let before = template(vec![line(&ids, ResetDuration::Month)]);
        let after = template(vec![line(&ids, ResetDuration::Month)]);
        let old = take_over(copy, &ProfileContent::default(), &before, &Field::ALL);
        let new = take_over(copy, &old, &after, &Field::ALL);
        assert_eq!(new.limits.budgets[0].id, old.limits.budgets[0].id);
        assert_eq!(take_over(copy, &new, &after, &Field::ALL), new);
    }

    #[test]
    fn only_the_named_fields_are_taken_over() {
        let ids = SequentialIds::default();
        let mut template = template(vec![line(&ids, ResetDuration::Month)]);
        template.shadow = true;
        template.calendar_aligned = true;
        let copy = ids.next_uuid();
        let settings = take_over(
            copy,
            &ProfileContent::default(),
            &template,
            &[Field::Settings],
        );
        assert!(settings.shadow && !settings.calendar_aligned && settings.limits.is_empty());
        let budgets = take_over(
            copy,
            &ProfileContent::default(),
            &template,
            &[Field::Budgets],
        );
        assert!(!budgets.shadow && budgets.calendar_aligned);
    }
}
