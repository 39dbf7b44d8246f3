//! Snapshot entities that default everything. A test writes what it is about and takes the rest:
//! `VirtualKey { is_active: false, ..key("k", KeyHolder::Itself) }`.
//!
//! Ids come from names, so that the same name is the same thing everywhere in a test.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use secrecy::SecretString;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::McpGrants;
use tollgate_domain::access::{Copy, ModelList, ProviderGrant, Settings};
use tollgate_domain::catalog::{Catalog, ModelInfo, ModelPrice, Prices};
use tollgate_domain::ids::{CopyId, ProfileId, ProviderKeyId, UserId, VirtualKeyId};
use tollgate_domain::limits::{
    Holder, HolderKind, Meter, MeterId, MeterKind, ResetDuration, WindowSpec,
};
use tollgate_domain::provider::{
    NetworkSettings, Provider, ProviderKey, ProviderName, ProviderType,
};
use tollgate_domain::snapshot::{KeyHash, KeyHolder, Snapshot, User, VirtualKey};
use uuid::Uuid;

/// The id of the thing of this name.
pub fn uuid_of(name: &str) -> Uuid {
    let half = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, name).hash(&mut hasher);
        hasher.finish()
    };
    Uuid::from_u64_pair(half(0), half(1))
}

/// The full text of the virtual key of this name, as a client sends it.
pub fn key_text(name: &str) -> String {
    format!("sk-tg-{}", uuid_of(name).as_simple())
}

/// The hash under which a snapshot finds a key.
pub fn key_hash(text: &str) -> KeyHash {
    digest(&SHA256, text.as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 has 32 bytes")
}

/// A provider's name.
pub fn provider_name(name: &str) -> ProviderName {
    name.parse().expect("a provider name")
}

/// An active user without copies or groups.
pub fn user(name: &str) -> User {
    User {
        id: UserId::from_uuid(uuid_of(name)),
        name: name.into(),
        is_active: true,
        copies: Vec::new(),
        groups: Vec::new(),
    }
}

/// An active key that never expires, opened by [`key_text`].
pub fn key(name: &str, holder: KeyHolder) -> VirtualKey {
    VirtualKey {
        id: VirtualKeyId::from_uuid(uuid_of(name)),
        name: name.into(),
        holder,
        is_managed: false,
        is_active: true,
        expires_at: None,
        secrets: vec![(key_hash(&key_text(name)), None)],
        grants: Vec::new(),
        mcp: McpGrants::default(),
        meters: Vec::new(),
        settings: Settings::default(),
    }
}

/// A live copy, version 1, that grants nothing yet.
pub fn copy(name: &str) -> Copy {
    Copy {
        id: CopyId::from_uuid(uuid_of(name)),
        profile_id: ProfileId(1),
        profile_version: 1,
        name: name.into(),
        is_active: true,
        expires_at: None,
        priority: 0,
        assigned_at: Timestamp::from_micros(0),
        grants: Vec::new(),
        mcp: McpGrants::default(),
        meters: Vec::new(),
        settings: Settings::default(),
        alert_thresholds: [].into(),
    }
}

/// Every model of a provider.
pub fn grant(provider: &str) -> ProviderGrant {
    ProviderGrant {
        provider: provider_name(provider),
        allowed: ModelList::all(),
        blacklisted: ModelList::default(),
        key_ids: None,
        weight: None,
        meters: Vec::new(),
        model_meters: Vec::new(),
    }
}

/// An OpenAI-compatible provider at `base_url` with one credential, `sk-upstream-<name>`, without retries.
pub fn provider(name: &str, base_url: &str) -> Provider {
    Provider {
        name: provider_name(name),
        kind: ProviderType::OpenAi,
        is_keyless: false,
        network: Some(Arc::new(network(base_url))),
        keys: vec![Arc::new(provider_key(name))],
        meters: Vec::new(),
        revision: 1,
    }
}

/// Five seconds for an answer, one second of silence, no retries.
pub fn network(base_url: &str) -> NetworkSettings {
    NetworkSettings {
        base_url: base_url.parse().expect("a URL"),
        request_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(1),
        max_retries: 0,
        retry_backoff_initial: Duration::from_millis(1),
        retry_backoff_max: Duration::from_millis(1),
        extra_headers: Vec::new(),
        ca_cert_pem: None,
        allow_private_network: false,
    }
}

/// A credential for all models, whose secret is `sk-upstream-<name>`.
pub fn provider_key(name: &str) -> ProviderKey {
    ProviderKey {
        id: ProviderKeyId::from_uuid(uuid_of(name)),
        name: name.into(),
        secret: SecretString::from(format!("sk-upstream-{name}")),
        models: ModelList::default(),
        blacklisted_models: ModelList::default(),
        weight: 1.0,
        aliases: BTreeMap::new(),
    }
}

/// A monthly limit of a copy, not aligned; `limit` is in the kind's unit (nano-dollars for money).
pub fn meter(line: &str, kind: MeterKind, limit: i64) -> Meter {
    Meter {
        id: MeterId {
            line: uuid_of(line),
            kind,
        },
        holder: Arc::new(Holder {
            kind: HolderKind::AccessProfile,
            id: line.into(),
            name: line.into(),
        }),
        line_id: line.into(),
        scope: "total".into(),
        limit,
        boost: None,
        window: (kind != MeterKind::Parallel).then(|| WindowSpec {
            duration: ResetDuration::Month,
            anchor: Timestamp::from_micros(0),
            zone: None,
            quarter_start_month: 1,
        }),
    }
}

/// A model with prices in whole dollars per million tokens, a context of 128,000 and at most 4,096 tokens of output.
pub fn model_info(input_usd_per_million: u64, output_usd_per_million: u64) -> ModelInfo {
    // A dollar for a million tokens is a million pico-dollars for a token.
    let (input, output) = (
        input_usd_per_million * 1_000_000,
        output_usd_per_million * 1_000_000,
    );
    let base = Prices {
        input,
        cache_read: input,
        cache_write_5m: input,
        cache_write_1h: input,
        audio_input: input,
        output,
        reasoning: output,
        audio_output: output,
        per_request: 0,
    };
    ModelInfo {
        price: Some(ModelPrice {
            base,
            ..ModelPrice::default()
        }),
        context_window: Some(128_000),
        max_output_tokens: Some(4_096),
        ..ModelInfo::default()
    }
}

/// A catalog that knows these models, each `(provider, model, what is known)`.
pub fn catalog(
    models: impl IntoIterator<Item = (&'static str, &'static str, ModelInfo)>,
) -> Catalog {
    Catalog::with_overrides(
        models
            .into_iter()
            .map(|(provider, model, info)| (provider_name(provider), model.to_owned(), info)),
    )
}

/// One user `ada` with one copy, and her key [`key_text`]`("ada")`.
pub fn snapshot_with(copy: Copy, provider: Provider, catalog: Catalog) -> Snapshot {
    let ada = User {
        copies: vec![Arc::new(copy)],
        ..user("ada")
    };
    let mut snapshot = Snapshot::default();
    snapshot.revision = 1;
    snapshot.put_key(key("ada", KeyHolder::User(ada.id)));
    snapshot.put_user(ada);
    snapshot.set_providers([provider]);
    snapshot.set_catalog(catalog);
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_finds_the_key_by_what_the_client_sends() {
        let copy = Copy {
            grants: vec![grant("mock")],
            ..copy("starter")
        };
        let snapshot = snapshot_with(
            copy,
            provider("mock", "http://127.0.0.1:1"),
            catalog([("mock", "small", model_info(1, 2))]),
        );
        let hash = key_hash(&key_text("ada"));
        let key = snapshot
            .key_by_hash(&hash, Timestamp::from_micros(0))
            .unwrap();
        assert_eq!(key.holder, KeyHolder::User(user("ada").id));
        assert!(snapshot.provider("mock").is_some());
    }
}
