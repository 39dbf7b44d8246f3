//! What an administrator writes: the content of a profile, and of every copy made from it.
//!
//! These types are also the stored form (one JSON document a row, the same text that versions keep as their snapshot),
//! which is why they derive serde; the management API has its own types and converts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grant::{Copy, ModelMeters, ProviderGrant};
use super::model_list::{InvalidModelPattern, ModelList};
use super::settings::Settings;
pub use super::settings::{OnUnknownPrice, Reservation};
use crate::ids::{
    BudgetId, CopyId, McpClientId, ProfileId, ProviderConfigId, ProviderKeyId, ToolGroupId, UserId,
};
use crate::limits::{Boost, Holder, HolderKind, LimitSet, Meter, MeterPlace};
use crate::provider::ProviderName;
use crate::time::{MICROS_PER_SECOND, Timestamp, Zone};

/// One provider's part of a profile or key. A provider appears once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProviderConfig {
    /// Given by the server.
    pub id: ProviderConfigId,
    /// Configured or not: it grants nothing until the provider exists.
    pub provider_name: ProviderName,
    /// Every model, whatever `allowed_models` says.
    #[serde(default)]
    pub all_models_allowed: bool,
    /// Empty denies all; `*` allows all.
    #[serde(default)]
    pub allowed_models: Vec<String>,
    /// Wins over the two above.
    #[serde(default)]
    pub blacklisted_models: Vec<String>,
    /// The provider's credentials to use; `None` = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ids: Option<Vec<ProviderKeyId>>,
    /// Orders providers that offer the same bare model; larger first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Limits on this provider.
    #[serde(default)]
    pub limits: LimitSet,
    /// Limits on single models of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub model_budgets: Vec<ModelBudget>,
}

/// Limits on one model of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelBudget {
    /// As an entry of a model list.
    pub model: String,
    /// The limits.
    pub limits: LimitSet,
}

/// Whether an override adds or removes a tool.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolAction {
    /// Grants the tool.
    Include,
    /// Takes it away, also from a group or a whole server.
    Exclude,
}

/// One tool, granted or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolOverride {
    /// The MCP client that has the tool.
    pub mcp_client_id: McpClientId,
    /// The tool's name.
    pub tool_name: String,
    /// Granted or taken away.
    pub action: ToolAction,
}

/// MCP tools that a profile grants.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct McpGrants {
    /// Groups of tools.
    #[serde(default)]
    pub tool_groups: Vec<ToolGroupId>,
    /// Whole servers, also tools that they get later.
    #[serde(default)]
    pub servers: Vec<McpClientId>,
    /// Single tools.
    #[serde(default)]
    pub tool_overrides: Vec<ToolOverride>,
}

/// What a profile grants and limits. A copy has the same, with line ids of its own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ProfileContent {
    /// In the order in which the administrator wrote them.
    #[serde(default)]
    pub provider_configs: Vec<ProviderConfig>,
    /// Limits on everything.
    #[serde(default)]
    pub limits: LimitSet,
    /// Whether windows follow the calendar of `time_zone`.
    #[serde(default)]
    pub calendar_aligned: bool,
    /// The zone of aligned windows.
    #[serde(default)]
    pub time_zone: Zone,
    /// MCP tools.
    #[serde(default)]
    pub mcp: McpGrants,
    /// How much a request holds.
    #[serde(default)]
    pub reservation: Reservation,
    /// What happens to a model without a price.
    #[serde(default)]
    pub on_unknown_price: OnUnknownPrice,
    /// Records what it would have refused, and refuses nothing.
    #[serde(default)]
    pub shadow: bool,
    /// Percentages of a limit at which to alert, ascending.
    #[serde(default)]
    pub alert_thresholds: Vec<u32>,
    /// Between rotations of managed keys, in nanoseconds; 0 = off.
    #[serde(default)]
    pub auto_rotation_interval_ns: i64,
    /// Whether keys that a holder makes are placed under the profile.
    #[serde(default)]
    pub govern_created_keys: bool,
}

/// When the managed keys of a profile's holders are rotated.
#[derive(Debug, Clone, std::marker::Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// The next time; `None` while rotation is off.
    pub next_at: Option<Timestamp>,
    /// The last time; `None` before the first.
    pub last_at: Option<Timestamp>,
}

impl Rotation {
    /// The schedule after the interval was changed, in nanoseconds, at `now`. The same interval keeps the schedule, so
    /// that no edit of other things puts a rotation off.
    #[must_use]
    pub fn rescheduled(self, old: i64, new: i64, now: Timestamp) -> Self {
        if old == new {
            return self;
        }
        Self {
            next_at: (new > 0).then(|| now.saturating_add_micros(new / NANOS_PER_MICRO)),
            ..self
        }
    }
}

const NANOS_PER_MICRO: i64 = 1_000;
/// Longest time for which the secret before a scheduled rotation is honoured too, in microseconds: a week.
const LONGEST_GRACE: i64 = 7 * 86_400 * MICROS_PER_SECOND;

/// An access profile: the template.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessProfile {
    /// Its id.
    pub id: ProfileId,
    /// Unique without regard to case.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Hidden from new assignments when not.
    pub is_active: bool,
    /// Steps with every change.
    pub version: i64,
    /// For finding it.
    pub tags: Vec<String>,
    /// What it grants and limits.
    pub content: ProfileContent,
    /// When its holders' managed keys are rotated.
    pub rotation: Rotation,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// One holder's copy of a profile, as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct UserCopy {
    /// Its id.
    pub id: CopyId,
    /// Who holds it.
    pub user_id: UserId,
    /// The template.
    pub parent_profile_id: ProfileId,
    /// The template's name at the last propagation.
    pub name: String,
    /// The template's version that the content is from.
    pub profile_version: i64,
    /// Whether it grants anything.
    pub is_active: bool,
    /// When it stops granting.
    pub expires_at: Option<Timestamp>,
    /// Smaller pays first.
    pub priority: i64,
    /// The anchor of its windows.
    pub assigned_at: Timestamp,
    /// What it grants and limits, with line ids of its own.
    pub content: ProfileContent,
    /// Overrides of its budgets.
    pub overrides: BTreeMap<BudgetId, Boost>,
}

impl AccessProfile {
    /// The schedule after a rotation that was due and is done at `now`: the next instant of the lattice that the
    /// schedule started, so that a clock that jumps, or a long stop, costs rotations and makes up for none.
    pub fn rotation_after(&self, now: Timestamp) -> Rotation {
        let interval = self.content.auto_rotation_interval_ns / NANOS_PER_MICRO;
        let due = self.rotation.next_at.unwrap_or(now);
        let missed = now.micros_since(due).max(0).checked_div(interval);
        Rotation {
            next_at: missed.map(|missed| {
                due.saturating_add_micros(interval.saturating_mul(missed.saturating_add(1)))
            }),
            last_at: Some(now),
        }
    }

    /// For how long the old secret is honoured after a scheduled rotation: half of the interval, at most a week.
    pub fn rotation_grace_micros(&self) -> i64 {
        (self.content.auto_rotation_interval_ns / NANOS_PER_MICRO / 2).min(LONGEST_GRACE)
    }
}

impl ProviderConfig {
    /// Compiles the grant with its meters.
    ///
    /// # Errors
    /// A model pattern that does not compile; writes refuse those, so here it means damaged data.
    pub fn compile(
        &self,
        place: &MeterPlace<'_>,
        boost: &dyn Fn(BudgetId) -> Option<Boost>,
    ) -> Result<ProviderGrant, InvalidModelPattern> {
        let scope = format!("provider:{}", self.provider_name);
        let model_meters = self
            .model_budgets
            .iter()
            .map(|line| {
                let scope = format!("provider:{}/model:{}", self.provider_name, line.model);
                Ok(ModelMeters {
                    models: ModelList::compile(std::slice::from_ref(&line.model))?,
                    meters: line.limits.meters(&place.scoped(&scope), boost),
                })
            })
            .collect::<Result<_, InvalidModelPattern>>()?;
        Ok(ProviderGrant {
            provider: self.provider_name.clone(),
            allowed: if self.all_models_allowed {
                ModelList::all()
            } else {
                ModelList::compile(&self.allowed_models)?
            },
            blacklisted: ModelList::compile(&self.blacklisted_models)?,
            key_ids: self.key_ids.clone(),
            weight: self.weight,
            meters: self.limits.meters(&place.scoped(&scope), boost),
            model_meters,
        })
    }
}

/// Content compiled for the data plane.
#[derive(Debug, Clone, Default)]
pub struct CompiledContent {
    /// Providers and models.
    pub grants: Vec<ProviderGrant>,
    /// MCP tools.
    pub mcp: McpGrants,
    /// Limits on everything.
    pub meters: Vec<Arc<Meter>>,
    /// How requests are treated.
    pub settings: Settings,
}

impl ProfileContent {
    /// Compiles the content for its holder: a copy, a key, a group. Windows that are not aligned start at `anchor`;
    /// `boost` is asked for each budget's override.
    ///
    /// # Errors
    /// As [`ProviderConfig::compile`].
    pub fn compile(
        &self,
        holder: Holder,
        anchor: Timestamp,
        boost: &dyn Fn(BudgetId) -> Option<Boost>,
    ) -> Result<CompiledContent, InvalidModelPattern> {
        let holder = Arc::new(holder);
        let place = MeterPlace {
            holder: &holder,
            scope: "total",
            anchor,
            aligned_to: self.calendar_aligned.then_some(&self.time_zone),
        };
        Ok(CompiledContent {
            grants: self
                .provider_configs
                .iter()
                .map(|config| config.compile(&place, boost))
                .collect::<Result<_, _>>()?,
            mcp: self.mcp.clone(),
            meters: self.limits.meters(&place, boost),
            settings: Settings {
                reservation: self.reservation,
                on_unknown_price: self.on_unknown_price,
                shadow: self.shadow,
            },
        })
    }
}

impl ProfileContent {
    /// The meters of every limit in the content, without compiling what it grants. The arguments are those of
    /// [`Self::compile`].
    pub fn meters(
        &self,
        holder: Holder,
        anchor: Timestamp,
        boost: &dyn Fn(BudgetId) -> Option<Boost>,
    ) -> Vec<Arc<Meter>> {
        let holder = Arc::new(holder);
        let total = MeterPlace {
            holder: &holder,
            scope: "total",
            anchor,
            aligned_to: self.calendar_aligned.then_some(&self.time_zone),
        };
        let mut meters = self.limits.meters(&total, boost);
        for config in &self.provider_configs {
            let scope = format!("provider:{}", config.provider_name);
            meters.extend(config.limits.meters(&total.scoped(&scope), boost));
            for line in &config.model_budgets {
                let scope = format!("{scope}/model:{}", line.model);
                meters.extend(line.limits.meters(&total.scoped(&scope), boost));
            }
        }
        meters
    }
}

impl UserCopy {
    /// Compiles the copy for the data plane.
    ///
    /// # Errors
    /// As [`ProviderConfig::compile`].
    pub fn compile(&self) -> Result<Copy, InvalidModelPattern> {
        let holder = Holder {
            kind: HolderKind::AccessProfile,
            id: self.id.to_string().into(),
            name: self.name.as_str().into(),
        };
        let boost = |id: BudgetId| self.overrides.get(&id).copied();
        let compiled = self.content.compile(holder, self.assigned_at, &boost)?;
        Ok(Copy {
            id: self.id,
            profile_id: self.parent_profile_id,
            profile_version: self.profile_version,
            name: self.name.as_str().into(),
            is_active: self.is_active,
            expires_at: self.expires_at,
            priority: self.priority,
            assigned_at: self.assigned_at,
            grants: compiled.grants,
            mcp: compiled.mcp,
            meters: compiled.meters,
            settings: compiled.settings,
            alert_thresholds: self.content.alert_thresholds.as_slice().into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600 * MICROS_PER_SECOND;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_micros(hours * HOUR)
    }

    fn rotating(hours: i64, next_at: Timestamp) -> AccessProfile {
        AccessProfile {
            id: ProfileId(1),
            name: "P".to_owned(),
            description: None,
            is_active: true,
            version: 1,
            tags: Vec::new(),
            content: ProfileContent {
                auto_rotation_interval_ns: hours * HOUR * NANOS_PER_MICRO,
                ..ProfileContent::default()
            },
            rotation: Rotation {
                next_at: Some(next_at),
                last_at: None,
            },
            created_at: at(0),
            updated_at: at(0),
        }
    }

    #[test]
    fn a_rotation_keeps_to_its_lattice_whatever_the_clock_did() {
        for (now, next) in [
            (24, 48),
            (25, 48),
            (47, 48),
            (48, 72),
            (24 * 100 + 1, 24 * 101),
        ] {
            let after = rotating(24, at(24)).rotation_after(at(now));
            assert_eq!(
                (after.next_at, after.last_at),
                (Some(at(next)), Some(at(now)))
            );
        }
        assert_eq!(rotating(0, at(24)).rotation_after(at(24)).next_at, None);
    }

    #[test]
    fn only_a_changed_interval_starts_the_schedule_anew() {
        let running = rotating(24, at(24)).rotation;
        let day = 24 * HOUR * NANOS_PER_MICRO;
        assert_eq!(running.rescheduled(day, day, at(20)), running);
        assert_eq!(running.rescheduled(day, 0, at(20)).next_at, None);
        assert_eq!(
            running.rescheduled(day, day / 2, at(20)).next_at,
            Some(at(32))
        );
        assert_eq!(
            Rotation::default().rescheduled(0, day, at(1)).next_at,
            Some(at(25))
        );
    }

    #[test]
    fn the_old_secret_lives_for_half_of_the_interval_and_at_most_a_week() {
        assert_eq!(rotating(1, at(0)).rotation_grace_micros(), HOUR / 2);
        assert_eq!(
            rotating(24 * 365, at(0)).rotation_grace_micros(),
            7 * 24 * HOUR
        );
    }
}
