//! Providers whose credentials the environment has, registered at their first sight.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::limits::LimitSet;
use tollgate_domain::provider::{NetworkSettings, ProviderName, ProviderType};
use tollgate_storage::providers::keys::{self, KeyValue, StoredProviderKey};
use tollgate_storage::providers::{self, StoredProvider};
use tollgate_storage::settings;

use super::Founding;
use crate::config::Environment;
use crate::failure::Failure;

/// A provider that is known by the variable that its own SDKs read.
struct Known {
    variable: &'static str,
    name: &'static str,
    kind: ProviderType,
    base_url: &'static str,
}

const KNOWN: [Known; 3] = [
    Known {
        variable: "OPENAI_API_KEY",
        name: "openai",
        kind: ProviderType::OpenAi,
        base_url: "https://api.openai.com",
    },
    Known {
        variable: "ANTHROPIC_API_KEY",
        name: "anthropic",
        kind: ProviderType::Anthropic,
        base_url: "https://api.anthropic.com",
    },
    Known {
        variable: "GEMINI_API_KEY",
        name: "gemini",
        kind: ProviderType::Gemini,
        base_url: "https://generativelanguage.googleapis.com",
    },
];

/// Registers each provider whose variable is set and that was never registered this way before: a provider that an
/// administrator deletes stays deleted. The key itself stays in the environment.
pub(crate) async fn register_providers(
    founding: &Founding,
    environment: &Environment,
) -> Result<(), Failure> {
    for known in &KNOWN {
        if environment.get(known.variable)?.is_some() {
            register(founding, known)
                .await
                .with_context(|| format!("register the provider `{}`", known.name))?;
        }
    }
    Ok(())
}

async fn register(founding: &Founding, known: &Known) -> anyhow::Result<()> {
    let name: ProviderName = known.name.parse()?;
    let mark = format!("registered_from_environment.{name}");
    let mut tx = founding.store.begin().await?;
    if settings::find(&mut tx, &mark).await?.is_some()
        || providers::find(&mut tx, &name).await?.is_some()
    {
        return Ok(());
    }
    let now = founding.clock.now();
    let provider = StoredProvider {
        name: name.clone(),
        kind: known.kind,
        is_keyless: false,
        network: Some(network(known.base_url)?),
        limits: LimitSet::default(),
        revision: 1,
        created_at: now,
        updated_at: now,
    };
    providers::create(&mut tx, &provider).await?;
    let key = StoredProviderKey {
        id: ProviderKeyId::from_uuid(founding.ids.next_uuid()),
        provider: name.clone(),
        name: "environment".to_owned(),
        value: KeyValue::Env(known.variable.to_owned()),
        models: Vec::new(),
        blacklisted_models: Vec::new(),
        weight: 1.0,
        aliases: BTreeMap::new(),
        is_enabled: true,
        created_at: now,
        updated_at: now,
    };
    keys::create(&mut tx, &key).await?;
    founding.record(&mut tx, "provider", &name).await?;
    settings::put(&mut tx, &mark, &now.to_string()).await?;
    // The snapshot is made after this.
    let _changes = tx.commit().await?;
    tracing::info!(
        provider.name = known.name,
        variable = known.variable,
        "provider registered from the environment"
    );
    Ok(())
}

/// The settings that the management API gives a provider that says nothing but its address.
pub(super) fn network(base_url: &str) -> anyhow::Result<NetworkSettings> {
    Ok(NetworkSettings {
        base_url: base_url.parse()?,
        request_timeout: Duration::from_mins(10),
        idle_timeout: Duration::from_mins(2),
        max_retries: 2,
        retry_backoff_initial: Duration::from_millis(500),
        retry_backoff_max: Duration::from_secs(5),
        extra_headers: Vec::new(),
        ca_cert_pem: None,
        allow_private_network: false,
    })
}
