//! What may be said of a virtual key: the pure part of create and update.

use tollgate_domain::access::profile::{OnUnknownPrice, ProfileContent, Reservation};
use tollgate_domain::ids::{CustomerId, ProviderKeyId, TeamId, UserId};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::snapshot::{GroupId, KeyHolder};
use tollgate_domain::time::Zone;
use tollgate_domain::{IdSource, Timestamp};
use tollgate_storage::virtual_keys::VirtualKey;

use crate::body::{
    Description, Existing, McpClientName, ModelEntry, Name, Patch, Problems, Weight, body,
};
use crate::limits::{BudgetInput, RateLimitInput, merge_budgets, merge_rate_limit};
use crate::problem::Problem;
use crate::provider_configs::{
    ProviderConfigInput, merge_provider_configs, refuse_more_than_all, refuse_twice,
};

const NOT_BOTH: &str = "a key speaks for a team or a customer, not for both; set the other to null";

body! {
    /// A new virtual key.
    struct CreateVirtualKey ignoring [
        "id", "value", "is_access_profile_managed", "previous_value_until", "created_at", "updated_at",
    ] {
        /// 1 to 255 characters, unique without regard to case.
        name: required Name,
        /// For people.
        description: optional Description,
        /// True unless said otherwise.
        is_active: optional bool,
        /// When it stops. Left out: never.
        expires_at: optional Timestamp,
        /// What it may use; together with profiles of its holder, what it may use of them.
        provider_configs: optional Vec<KeyProviderConfigInput>,
        /// MCP tools.
        mcp_configs: optional Vec<McpConfigInput>,
        /// The user who makes it, and for whom it speaks; not together with `team_id` or `customer_id`. When one of the
        /// user's profiles governs created keys, the key is placed under them.
        user_id: optional Existing<UserId>,
        /// The team it speaks for; not together with `customer_id`.
        team_id: optional Existing<TeamId>,
        /// The customer it speaks for; not together with `team_id`.
        customer_id: optional Existing<CustomerId>,
        /// Budgets on everything that passes through the key.
        budgets: optional Vec<BudgetInput>,
        /// Rate limit on everything that passes through the key.
        rate_limit: optional RateLimitInput,
        /// Whether windows follow the calendar of `time_zone`.
        calendar_aligned: optional bool,
        /// The IANA zone of aligned windows.
        time_zone: optional Zone,
        /// How much a request holds before it is sent, when the key pays by itself.
        reservation: optional Reservation,
        /// What happens to a model without a known price, when the key pays by itself.
        on_unknown_price: optional OnUnknownPrice,
    }
    check |key| {
        let is_of_group = key.has("team_id") || key.has("customer_id");
        if key.has("team_id") && key.has("customer_id") {
            key.inconsistent("customer_id", NOT_BOTH);
        }
        if key.has("user_id") && is_of_group {
            key.inconsistent(
                "user_id",
                "a key speaks for a user, a team or a customer; name one of them",
            );
        }
    }
}

body! {
    /// A partial update of a virtual key. Keys that came with an access profile take only name and description.
    struct UpdateVirtualKey ignoring [
        "id", "value", "is_access_profile_managed", "user_id", "previous_value_until", "created_at", "updated_at",
    ] {
        /// 1 to 255 characters, unique without regard to case.
        name: given Name,
        /// Null clears it.
        description: patch Description,
        /// False refuses the next request.
        is_active: given bool,
        /// Null for never.
        expires_at: patch Timestamp,
        /// Replaces the whole list.
        provider_configs: given Vec<KeyProviderConfigInput>,
        /// Replaces the whole list.
        mcp_configs: given Vec<McpConfigInput>,
        /// The team it speaks for; null for none.
        team_id: patch Existing<TeamId>,
        /// The customer it speaks for; null for none.
        customer_id: patch Existing<CustomerId>,
        /// Replaces the whole list, as with access profiles.
        budgets: given Vec<BudgetInput>,
        /// Replaces the limit; null clears it.
        rate_limit: patch RateLimitInput,
        /// Null keeps the value.
        calendar_aligned: optional bool,
        /// The IANA zone of aligned windows.
        time_zone: given Zone,
        /// How much a request holds before it is sent, when the key pays by itself.
        reservation: given Reservation,
        /// What happens to a model without a known price, when the key pays by itself.
        on_unknown_price: given OnUnknownPrice,
    }
    check |key| {
        if key.has("team_id") && key.has("customer_id") {
            key.inconsistent("customer_id", NOT_BOTH);
        }
    }
}

body! {
    /// What a key may use at one provider. A provider appears once.
    struct KeyProviderConfigInput ignoring ["id", "provider_name", "model_budgets"] {
        /// The provider, configured or not.
        provider: required ProviderName,
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
    }
    check |config| {
        refuse_more_than_all(config, allowed_models.as_ref().and_then(Option::as_ref));
    }
    check_list refuse_same_providers
}

body! {
    /// The tools of one MCP client.
    struct McpConfigInput {
        /// The client's name. An update may name one that was deleted by its id, as it was read.
        mcp_client_name: required Existing<McpClientName>,
        /// Names of tools, or `*`. Left out or empty: none of its tools.
        tools_to_execute: optional Vec<String>,
    }
}

fn refuse_same_providers(
    configs: &[(usize, KeyProviderConfigInput)],
    pointer: &str,
    problems: &mut Problems,
) {
    let names = configs
        .iter()
        .map(|(index, config)| (*index, &config.provider));
    refuse_twice(names, pointer, "provider", problems);
}

impl From<KeyProviderConfigInput> for ProviderConfigInput {
    fn from(input: KeyProviderConfigInput) -> Self {
        Self {
            provider_name: input.provider,
            all_models_allowed: input.all_models_allowed,
            allowed_models: input.allowed_models,
            blacklisted_models: input.blacklisted_models,
            key_ids: input.key_ids,
            weight: input.weight,
            budgets: input.budgets,
            rate_limit: input.rate_limit,
            model_budgets: None,
        }
    }
}

impl From<CreateVirtualKey> for UpdateVirtualKey {
    /// A new key is the empty one, updated.
    fn from(body: CreateVirtualKey) -> Self {
        Self {
            name: Some(body.name),
            description: patch(body.description),
            is_active: body.is_active,
            expires_at: patch(body.expires_at),
            provider_configs: body.provider_configs,
            mcp_configs: body.mcp_configs,
            team_id: patch(body.team_id),
            customer_id: patch(body.customer_id),
            budgets: body.budgets,
            rate_limit: patch(body.rate_limit),
            calendar_aligned: body.calendar_aligned,
            time_zone: body.time_zone,
            reservation: body.reservation,
            on_unknown_price: body.on_unknown_price,
        }
    }
}

fn patch<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Absent, Patch::Value)
}

/// Whether more than the name and description of a managed key would change.
pub(super) fn exceeds_managed(old: &VirtualKey, new: &VirtualKey) -> bool {
    let like_old = VirtualKey {
        name: old.name.clone(),
        description: old.description.clone(),
        ..new.clone()
    };
    old.is_managed && like_old != *old
}

/// The key after the update. Instants are left as they are.
///
/// # Errors
/// Everything that is wrong with the body.
pub(super) fn apply_update(
    current: &VirtualKey,
    body: &UpdateVirtualKey,
    ids: &dyn IdSource,
) -> Result<VirtualKey, Problem> {
    let mut problems = Problems::default();
    let holder = read_holder(current.holder, body, &mut problems);
    let configs: Option<Vec<ProviderConfigInput>> = body
        .provider_configs
        .clone()
        .map(|configs| configs.into_iter().map(ProviderConfigInput::from).collect());
    problems.into_result()?;
    let old = &current.content;
    let mut content = ProfileContent {
        calendar_aligned: body.calendar_aligned.unwrap_or(old.calendar_aligned),
        time_zone: body
            .time_zone
            .clone()
            .unwrap_or_else(|| old.time_zone.clone()),
        reservation: body.reservation.unwrap_or(old.reservation),
        on_unknown_price: body.on_unknown_price.unwrap_or(old.on_unknown_price),
        ..old.clone()
    };
    if let Some(configs) = &configs {
        content.provider_configs = merge_provider_configs(&old.provider_configs, configs, ids);
    }
    if let Some(budgets) = &body.budgets {
        content.limits.budgets = merge_budgets(&old.limits.budgets, budgets, ids);
    }
    match &body.rate_limit {
        Patch::Absent => {}
        Patch::Null => content.limits.rate_limit = None,
        Patch::Value(new) => {
            let before = old.limits.rate_limit.as_ref();
            content.limits.rate_limit = Some(merge_rate_limit(before, new, ids));
        }
    }
    Ok(VirtualKey {
        name: body
            .name
            .clone()
            .map_or_else(|| current.name.clone(), String::from),
        description: body
            .description
            .clone()
            .apply_to(current.description.clone()),
        holder,
        is_active: body.is_active.unwrap_or(current.is_active),
        expires_at: body.expires_at.clone().apply_to(current.expires_at),
        content,
        ..current.clone()
    })
}

/// For whom the key speaks after the update.
fn read_holder(current: KeyHolder, body: &UpdateVirtualKey, problems: &mut Problems) -> KeyHolder {
    let (old_team, old_customer) = match current {
        KeyHolder::Group(GroupId::Team(id)) => (Some(id), None),
        KeyHolder::Group(GroupId::Customer(id)) => (None, Some(id)),
        _ => (None, None),
    };
    let team = body.team_id.clone().map(|id| id.0).apply_to(old_team);
    let customer = body
        .customer_id
        .clone()
        .map(|id| id.0)
        .apply_to(old_customer);
    match (team, customer) {
        (Some(_), Some(_)) => {
            problems.inconsistent("/customer_id", NOT_BOTH);
            current
        }
        (Some(team), None) => KeyHolder::Group(GroupId::Team(team)),
        (None, Some(customer)) => KeyHolder::Group(GroupId::Customer(customer)),
        (None, None) => match current {
            KeyHolder::User(_) | KeyHolder::Group(GroupId::BusinessUnit(_)) => current,
            _ => KeyHolder::Itself,
        },
    }
}
