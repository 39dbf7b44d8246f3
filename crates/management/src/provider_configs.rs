//! One provider's part of a profile or of a virtual key.

use std::collections::HashSet;

use serde::Serialize;
use tollgate_domain::IdSource;
use tollgate_domain::access::profile::{ModelBudget, ProviderConfig};
use tollgate_domain::ids::{ProviderConfigId, ProviderKeyId};
use tollgate_domain::limits::LimitSet;
use tollgate_domain::provider::ProviderName;
use utoipa::ToSchema;

use crate::body::{ModelEntry, Object, Problems, Weight, body};
use crate::limits::{
    BudgetInput, BudgetView, Override, RateLimitInput, RateLimitView, Readings, merge_budgets,
    merge_rate_limit,
};

body! {
    /// What a profile grants and limits at one provider. A provider appears once.
    struct ProviderConfigInput ignoring ["id"] {
        /// Configured or not: it grants nothing until the provider exists.
        provider_name: required ProviderName,
        /// Every model, whatever `allowed_models` says.
        all_models_allowed: optional bool,
        /// Empty denies all, `*` alone allows all, `regex:…` matches whole names without case.
        allowed_models: optional Vec<ModelEntry>,
        /// Taken away from what the two above grant.
        blacklisted_models: optional Vec<ModelEntry>,
        /// The provider's keys to use; left out = all of them.
        key_ids: optional Vec<ProviderKeyId>,
        /// Orders providers that offer the same model under its bare name; larger first.
        weight: optional Weight,
        /// Budgets on this provider.
        budgets: optional Vec<BudgetInput>,
        /// Rate limit on this provider.
        rate_limit: optional RateLimitInput,
        /// Limits on single models of it.
        model_budgets: optional Vec<ModelBudgetInput>,
    }
    check |config| {
        refuse_more_than_all(config, allowed_models.as_ref().and_then(Option::as_ref));
    }
    check_list refuse_same_providers
}

body! {
    /// Limits on one model, or on those that a pattern matches.
    struct ModelBudgetInput {
        /// An entry as in `allowed_models`.
        model: required ModelEntry,
        /// Budgets on it.
        budgets: required Vec<BudgetInput>,
        /// Rate limit on it.
        rate_limit: optional RateLimitInput,
    }
}

/// What a profile grants and limits at one provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderConfigView {
    /// Given by the server.
    id: ProviderConfigNumber,
    /// The provider, configured or not.
    provider_name: String,
    /// Every model, whatever `allowed_models` says.
    all_models_allowed: bool,
    /// Empty denies all, `*` allows all.
    allowed_models: Vec<String>,
    /// Taken away from what the two above grant.
    blacklisted_models: Vec<String>,
    /// The provider's keys that are used; null = all of them.
    key_ids: Option<Vec<String>>,
    /// Larger first.
    weight: Option<f64>,
    /// Budgets on this provider.
    budgets: Vec<BudgetView>,
    /// Rate limit on this provider.
    rate_limit: Option<RateLimitView>,
    /// Limits on single models of it.
    model_budgets: Vec<ModelBudgetView>,
}

/// An integer id.
pub(crate) type ProviderConfigNumber = i64;

/// Limits on one model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelBudgetView {
    /// The model or pattern.
    model: String,
    /// Budgets on it.
    budgets: Vec<BudgetView>,
    /// Rate limit on it.
    rate_limit: Option<RateLimitView>,
}

/// `*` stands for every model, and so alone.
pub(crate) fn refuse_more_than_all(config: &mut Object<'_, '_>, allowed: Option<&Vec<ModelEntry>>) {
    let Some(allowed) = allowed.filter(|allowed| allowed.len() > 1) else {
        return;
    };
    if let Some(at) = allowed.iter().position(|entry| &**entry == "*") {
        config.inconsistent_at(
            &["allowed_models", &at.to_string()],
            "`*` stands for every model; leave the other entries out",
        );
    }
}

fn refuse_same_providers(
    configs: &[(usize, ProviderConfigInput)],
    pointer: &str,
    problems: &mut Problems,
) {
    let names = configs
        .iter()
        .map(|(index, config)| (*index, &config.provider_name));
    refuse_twice(names, pointer, "provider_name", problems);
}

/// A provider may appear once; `field` has its name.
pub(crate) fn refuse_twice<'a>(
    names: impl Iterator<Item = (usize, &'a ProviderName)>,
    pointer: &str,
    field: &str,
    problems: &mut Problems,
) {
    let mut seen = HashSet::new();
    for (index, name) in names {
        if !seen.insert(name) {
            problems.inconsistent(
                format!("{pointer}/{index}/{field}"),
                format!("the provider `{name}` appears twice"),
            );
        }
    }
}

/// Entries of a model list as they are stored.
pub(crate) fn model_names(entries: Vec<ModelEntry>) -> Vec<String> {
    entries.into_iter().map(String::from).collect()
}

/// The new list in the place of the old one. A provider that stays keeps its id, and its lines theirs; a new one has the
/// id 0 until it is stored.
pub(crate) fn merge_provider_configs(
    old: &[ProviderConfig],
    new: &[ProviderConfigInput],
    ids: &dyn IdSource,
) -> Vec<ProviderConfig> {
    new.iter()
        .map(|config| {
            let before = old
                .iter()
                .find(|old| old.provider_name == config.provider_name);
            let id = before.map_or(ProviderConfigId(0), |old| old.id);
            merge_one(id, before, config, ids)
        })
        .collect()
}

fn merge_one(
    id: ProviderConfigId,
    old: Option<&ProviderConfig>,
    new: &ProviderConfigInput,
    ids: &dyn IdSource,
) -> ProviderConfig {
    let model_budgets = new.model_budgets.as_deref().unwrap_or_default();
    ProviderConfig {
        id,
        provider_name: new.provider_name.clone(),
        all_models_allowed: new.all_models_allowed.unwrap_or(false),
        allowed_models: model_names(new.allowed_models.clone().unwrap_or_default()),
        blacklisted_models: model_names(new.blacklisted_models.clone().unwrap_or_default()),
        key_ids: new.key_ids.clone(),
        weight: new.weight.map(|weight| weight.0),
        limits: merge_limits(
            old.map(|old| &old.limits),
            new.budgets.as_deref(),
            new.rate_limit.as_ref(),
            ids,
        ),
        model_budgets: model_budgets
            .iter()
            .map(|line| ModelBudget {
                limits: merge_limits(
                    old.and_then(|old| {
                        old.model_budgets
                            .iter()
                            .find(|old| *old.model == *line.model)
                    })
                    .map(|old| &old.limits),
                    Some(&line.budgets),
                    line.rate_limit.as_ref(),
                    ids,
                ),
                model: line.model.clone().into(),
            })
            .collect(),
    }
}

fn merge_limits(
    old: Option<&LimitSet>,
    budgets: Option<&[BudgetInput]>,
    rate_limit: Option<&RateLimitInput>,
    ids: &dyn IdSource,
) -> LimitSet {
    let old_budgets = old.map_or(&[][..], |old| &old.budgets);
    let old_rate = old.and_then(|old| old.rate_limit.as_ref());
    LimitSet {
        budgets: merge_budgets(old_budgets, budgets.unwrap_or_default(), ids),
        rate_limit: rate_limit.map(|limit| merge_rate_limit(old_rate, limit, ids)),
    }
}

impl ProviderConfigView {
    pub(crate) fn new(
        config: &ProviderConfig,
        boost: &dyn Fn(tollgate_domain::ids::BudgetId) -> Option<Override>,
        readings: &Readings,
    ) -> Self {
        let scope = format!("provider:{}", config.provider_name);
        Self {
            id: config.id.0,
            provider_name: config.provider_name.to_string(),
            all_models_allowed: config.all_models_allowed,
            allowed_models: config.allowed_models.clone(),
            blacklisted_models: config.blacklisted_models.clone(),
            key_ids: config
                .key_ids
                .as_ref()
                .map(|ids| ids.iter().map(ToString::to_string).collect()),
            weight: config.weight,
            budgets: view_budgets(&config.limits, &scope, boost, readings),
            rate_limit: view_rate_limit(&config.limits, readings),
            model_budgets: config
                .model_budgets
                .iter()
                .map(|line| ModelBudgetView {
                    model: line.model.clone(),
                    budgets: view_budgets(
                        &line.limits,
                        &format!("{scope}/model:{}", line.model),
                        boost,
                        readings,
                    ),
                    rate_limit: view_rate_limit(&line.limits, readings),
                })
                .collect(),
        }
    }
}

/// The budgets of a place, as answers show them.
pub(crate) fn view_budgets(
    limits: &LimitSet,
    scope: &str,
    boost: &dyn Fn(tollgate_domain::ids::BudgetId) -> Option<Override>,
    readings: &Readings,
) -> Vec<BudgetView> {
    limits
        .budgets
        .iter()
        .map(|line| BudgetView::new(line, scope, boost(line.id), readings))
        .collect()
}

/// The rate limit of a place, as answers show it.
pub(crate) fn view_rate_limit(limits: &LimitSet, readings: &Readings) -> Option<RateLimitView> {
    limits
        .rate_limit
        .as_ref()
        .map(|line| RateLimitView::new(line, readings))
}
