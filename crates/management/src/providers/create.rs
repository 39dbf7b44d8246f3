use http::StatusCode;
use secrecy::ExposeSecret as _;
use tollgate_domain::limits::LimitSet;
use tollgate_domain::provider::{ProviderName, ProviderType};
use tollgate_storage::providers::{self, StoredProvider};

use super::settings::{
    CustomProviderInput, MASK, NO_VALUE, NetworkConfigInput, apply_network, check_address,
    default_type,
};
use super::{ProviderBody, name_taken, view_with};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Problems, Secret, body};
use crate::context::{CreateProviders, Require};
use crate::extract::Json;
use crate::problem::Answer;

body! {
    /// A new provider.
    struct CreateProvider ignoring ["keys", "created_at", "updated_at"] {
        /// Its name: the first part of `provider/model`.
        provider: required ProviderName,
        /// How to reach it. `base_url` may be left out for well-known providers.
        network_config: optional NetworkConfigInput,
        /// What kind of provider it is. Left out: its own for well-known names, else compatible with OpenAI.
        custom_provider_config: optional CustomProviderInput,
    }
    check |body| {
        let own_kind = body.has_at(&["custom_provider_config", "base_provider_type"]);
        let kind = match (&provider, &custom_provider_config) {
            (Some(name), Some(custom)) => Some(kind_of(name, custom.as_ref())),
            (Some(name), None) if !own_kind => Some(default_type(name)),
            _ => None,
        };
        if let (Some(name), Some(kind)) = (&provider, kind) {
            let has_address = body.has_at(&["network_config", "base_url"]);
            if let Err(message) = check_address(name, kind, has_address) {
                body.inconsistent_at(&["network_config", "base_url"], message);
            }
        }
        let headers = network_config.iter().flatten().filter_map(|network| network.extra_headers.as_ref());
        for (name, Secret(value)) in headers.flatten() {
            if value.expose_secret() == MASK {
                body.inconsistent_at(&["network_config", "extra_headers", name], NO_VALUE);
            }
        }
    }
}

/// What the provider speaks.
fn kind_of(name: &ProviderName, custom: Option<&CustomProviderInput>) -> ProviderType {
    custom
        .and_then(|custom| custom.base_provider_type)
        .unwrap_or_else(|| default_type(name))
}

/// Add a provider
#[utoipa::path(
    post, path = "/providers", tag = "providers",
    request_body = CreateProvider,
    responses((status = 201, body = ProviderBody), WriteRefusals),
    security(("management_key" = ["Providers:Create"]))
)]
pub(crate) async fn create_provider(
    ctx: Require<CreateProviders>,
    Json(body): Json<CreateProvider>,
) -> Answer<(StatusCode, Json<ProviderBody>)> {
    let mut problems = Problems::default();
    let name = body.provider;
    let custom = body.custom_provider_config;
    let kind = kind_of(&name, custom.as_ref());
    let network = apply_network(
        &name,
        kind,
        None,
        body.network_config.as_ref(),
        &mut problems,
    );
    problems.into_result()?;
    let now = ctx.now();
    let provider = StoredProvider {
        is_keyless: kind == ProviderType::Sandbox
            || custom
                .and_then(|custom| custom.is_key_less)
                .unwrap_or(false),
        name,
        kind,
        network,
        limits: LimitSet::default(),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    let mut tx = ctx.begin().await?;
    providers::create(&mut tx, &provider)
        .await
        .map_err(|error| name_taken(error, &provider.name))?;
    let act = Act::new("create", "provider", &provider.name);
    let provider = view_with(&provider, Vec::new());
    ctx.record(&mut tx, act.after(&provider)).await?;
    ctx.commit(tx, (StatusCode::CREATED, Json(ProviderBody { provider })))
        .await
}
