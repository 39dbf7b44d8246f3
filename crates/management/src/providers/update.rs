use tollgate_domain::provider::{ProviderName, ProviderType};
use tollgate_storage::providers::{self, StoredProvider};

use super::settings::{CustomProviderInput, NetworkConfigInput, apply_network};
use super::{ProviderBody, get_existing, view};
use crate::answers::WriteRefusals;
use crate::audit::Act;
use crate::body::{Problems, body};
use crate::context::{Require, UpdateProviders};
use crate::extract::{Json, Path};
use crate::problem::Answer;

body! {
    /// A partial update of a provider.
    struct UpdateProvider ignoring ["provider", "keys", "created_at", "updated_at"] {
        /// How to reach it. Another origin forgets the values of all keys and extra headers: they are secrets of the old
        /// one and must be entered again.
        network_config: optional NetworkConfigInput,
        /// What kind of provider it is.
        custom_provider_config: optional CustomProviderInput,
    }
}

/// Change a provider
#[utoipa::path(
    put, path = "/providers/{provider}", tag = "providers",
    params(("provider" = String, Path, description = "The provider's name")),
    request_body = UpdateProvider,
    responses((status = 200, body = ProviderBody), WriteRefusals),
    security(("management_key" = ["Providers:Update"]))
)]
pub(crate) async fn update_provider(
    ctx: Require<UpdateProviders>,
    Path(name): Path<ProviderName>,
    Json(body): Json<UpdateProvider>,
) -> Answer<Json<ProviderBody>> {
    let mut tx = ctx.begin().await?;
    let old = get_existing(&mut tx, &name).await?;
    let before = view(&mut tx, &old).await?;
    let new = apply(&old, body, ctx.now())?;
    if has_moved(&old, &new) {
        providers::keys::forget_values(&mut tx, &name, ctx.now()).await?;
    }
    providers::update(&mut tx, &new).await?;
    let provider = view(&mut tx, &new).await?;
    let act = Act::new("update", "provider", &name);
    ctx.record(&mut tx, act.before(&before).after(&provider))
        .await?;
    ctx.commit(tx, Json(ProviderBody { provider })).await
}

fn apply(
    old: &StoredProvider,
    body: UpdateProvider,
    now: tollgate_domain::Timestamp,
) -> Answer<StoredProvider> {
    let mut problems = Problems::default();
    let custom = body.custom_provider_config;
    let kind = custom
        .as_ref()
        .and_then(|custom| custom.base_provider_type)
        .unwrap_or(old.kind);
    let network = apply_network(
        &old.name,
        kind,
        old.network.as_ref(),
        body.network_config.as_ref(),
        &mut problems,
    );
    problems.into_result()?;
    Ok(StoredProvider {
        is_keyless: kind == ProviderType::Sandbox
            || custom
                .and_then(|custom| custom.is_key_less)
                .unwrap_or(old.is_keyless),
        kind,
        network,
        updated_at: now,
        ..old.clone()
    })
}

/// Whether credentials would now be sent to somebody else.
fn has_moved(old: &StoredProvider, new: &StoredProvider) -> bool {
    let origin = |provider: &StoredProvider| {
        provider
            .network
            .as_ref()
            .map(|network| network.base_url.origin())
    };
    origin(old) != origin(new)
}
