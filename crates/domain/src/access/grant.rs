//! Profiles compiled for the data plane.

use std::sync::Arc;

use super::model_list::ModelList;
use super::profile::McpGrants;
use super::settings::Settings;
use crate::ids::{CopyId, ProfileId, ProviderKeyId};
use crate::limits::Meter;
use crate::provider::ProviderName;
use crate::time::Timestamp;

/// Meters that count only some models.
#[derive(Debug, Clone)]
pub struct ModelMeters {
    /// Which.
    pub models: ModelList,
    /// The meters.
    pub meters: Vec<Arc<Meter>>,
}

/// One provider, as a copy or key grants it.
#[derive(Debug, Clone)]
pub struct ProviderGrant {
    /// Which provider.
    pub provider: ProviderName,
    /// Its allowed models.
    pub allowed: ModelList,
    /// Its denied models; they win.
    pub blacklisted: ModelList,
    /// The provider's credentials to use; `None` = all.
    pub key_ids: Option<Vec<ProviderKeyId>>,
    /// Orders providers that offer the same bare model; larger first.
    pub weight: Option<f64>,
    /// Limits on this provider.
    pub meters: Vec<Arc<Meter>>,
    /// Limits on single models of it.
    pub model_meters: Vec<ModelMeters>,
}

impl ProviderGrant {
    /// Whether this grant allows `model` of its provider.
    pub fn allows(&self, model: &str) -> bool {
        self.allowed.contains(&self.provider, model)
            && !self.blacklisted.contains(&self.provider, model)
    }

    /// Whether it may allow any model at all.
    pub fn opens(&self) -> bool {
        !self.allowed.is_empty() && !self.blacklisted.is_all()
    }

    /// The meters that a request for `model` touches, or one for whatever model.
    pub fn meters_for<'a>(
        &'a self,
        model: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Meter>> + 'a {
        let of_model = self
            .model_meters
            .iter()
            .filter(move |line| line.models.holds(&self.provider, model))
            .flat_map(|line| &line.meters);
        self.meters.iter().chain(of_model)
    }
}

/// One holder's copy of an access profile.
#[derive(Debug, Clone)]
pub struct Copy {
    /// Its id.
    pub id: CopyId,
    /// The template.
    pub profile_id: ProfileId,
    /// The template's version that the content is from; stamped on every decision.
    pub profile_version: i64,
    /// The template's name.
    pub name: Arc<str>,
    /// Whether it grants anything.
    pub is_active: bool,
    /// When it stops granting.
    pub expires_at: Option<Timestamp>,
    /// Smaller pays first.
    pub priority: i64,
    /// Earlier pays first among equals.
    pub assigned_at: Timestamp,
    /// Providers and models.
    pub grants: Vec<ProviderGrant>,
    /// MCP tools.
    pub mcp: McpGrants,
    /// Limits on everything it pays for.
    pub meters: Vec<Arc<Meter>>,
    /// How its requests are treated.
    pub settings: Settings,
    /// Percentages of its limits at which to alert, ascending.
    pub alert_thresholds: Arc<[u32]>,
}

impl Copy {
    /// Whether it grants anything at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.is_active && self.expires_at.is_none_or(|at| now < at)
    }

    /// What it grants of `provider`.
    pub fn grant(&self, provider: &ProviderName) -> Option<&ProviderGrant> {
        self.grants.iter().find(|grant| grant.provider == *provider)
    }
}
