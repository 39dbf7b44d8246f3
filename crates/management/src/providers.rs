//! Model providers: where requests go, and with which credentials.

mod create;
mod delete;
mod get;
mod keys;
mod list;
mod models;
mod settings;
mod update;

use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::provider::{NetworkSettings, ProviderName};
use tollgate_storage::providers::{self, StoredProvider};
use tollgate_storage::{Constraint, Db, StorageError};
use utoipa::ToSchema;
use utoipa_axum::routes;

use self::keys::ProviderKeyView;
pub(crate) use self::settings::{MASK, NO_VALUE, check_server_url};
use crate::operations::Operations;
use crate::problem::{Answer, Problem};

/// The operations on providers, their keys and models.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_providers, create::create_provider))
        .routes(|| {
            routes!(
                get::get_provider,
                update::update_provider,
                delete::delete_provider
            )
        })
        .merge(keys::operations())
        .routes(|| routes!(models::list_models))
}

/// A provider. Its secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderView {
    /// The first part of `provider/model`.
    provider: String,
    /// How to reach it; null for the built-in `sandbox`.
    network_config: Option<NetworkConfigView>,
    custom_provider_config: CustomProviderView,
    keys: Vec<ProviderKeyView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// How to reach a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NetworkConfigView {
    base_url: String,
    default_request_timeout_in_seconds: u64,
    max_retries: u32,
    /// Milliseconds.
    retry_backoff_initial: u64,
    /// Milliseconds.
    retry_backoff_max: u64,
    /// Names, with a mask in the place of every value. A mask that is sent back keeps the value.
    extra_headers: std::collections::BTreeMap<String, String>,
    ca_cert_pem: Option<String>,
    allow_private_network: bool,
}

/// What kind of provider it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CustomProviderView {
    /// `openai`, `anthropic`, `gemini` or `sandbox`.
    base_provider_type: &'static str,
    is_key_less: bool,
}

/// One provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderBody {
    provider: ProviderView,
}

impl From<&NetworkSettings> for NetworkConfigView {
    fn from(network: &NetworkSettings) -> Self {
        let millis =
            |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            base_url: network.base_url.as_str().trim_end_matches('/').to_owned(),
            default_request_timeout_in_seconds: network.request_timeout.as_secs(),
            max_retries: network.max_retries,
            retry_backoff_initial: millis(network.retry_backoff_initial),
            retry_backoff_max: millis(network.retry_backoff_max),
            extra_headers: network
                .extra_headers
                .iter()
                .map(|(name, _)| (name.clone(), MASK.to_owned()))
                .collect(),
            ca_cert_pem: network.ca_cert_pem.as_deref().map(str::to_owned),
            allow_private_network: network.allow_private_network,
        }
    }
}

/// The provider with its keys as answers show it.
async fn view(db: impl Into<Db<'_>>, provider: &StoredProvider) -> Answer<ProviderView> {
    let keys = providers::keys::of_provider(db, &provider.name).await?;
    Ok(view_with(
        provider,
        keys.into_iter().map(ProviderKeyView::from).collect(),
    ))
}

fn view_with(provider: &StoredProvider, keys: Vec<ProviderKeyView>) -> ProviderView {
    ProviderView {
        provider: provider.name.to_string(),
        network_config: provider.network.as_ref().map(NetworkConfigView::from),
        custom_provider_config: CustomProviderView {
            base_provider_type: provider.kind.as_str(),
            is_key_less: provider.is_keyless,
        },
        keys,
        created_at: provider.created_at,
        updated_at: provider.updated_at,
    }
}

/// The provider, or 404.
async fn get_existing(db: impl Into<Db<'_>>, name: &ProviderName) -> Answer<StoredProvider> {
    providers::find(db, name)
        .await?
        .ok_or_else(|| Problem::not_found("provider", name))
}

/// A taken name as the 409 it is.
fn name_taken(error: StorageError, name: &ProviderName) -> Problem {
    if error.conflicts_with(Constraint::ProviderName) {
        Problem::conflict(
            "name_taken",
            format!("the provider `{name}` exists already"),
        )
        .at("/provider")
    } else {
        error.into()
    }
}
