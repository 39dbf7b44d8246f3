//! From stored rows to the entries of a snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::SecretString;
use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{CompiledContent, ProfileContent};
use tollgate_domain::access::{Copy, InvalidModelPattern, ModelList};
use tollgate_domain::ids::UserId;
use tollgate_domain::limits::{Holder, HolderKind, MeterPlace};
use tollgate_domain::provider::{Provider, ProviderKey};
use tollgate_domain::snapshot::{
    Group, GroupProfile, KeyHash, User as SnapshotUser, VirtualKey as SnapshotKey,
};

use super::EnvLookup;
use crate::error::{Result, StorageError};
use crate::groups::profiles::GroupCopy;
use crate::groups::{self, GroupKind, StoredGroup};
use crate::model_configs::StoredModelConfig;
use crate::providers::StoredProvider;
use crate::providers::keys::{KeyValue, StoredProviderKey};
use crate::sql::corrupt;
use crate::tx::Db;
use crate::users::User;
use crate::virtual_keys::VirtualKey;
use crate::{copies, group_id};

fn damaged(error: InvalidModelPattern) -> StorageError {
    corrupt("content", error)
}

fn compile(
    content: &ProfileContent,
    kind: HolderKind,
    id: &str,
    name: &str,
    anchor: Timestamp,
) -> Result<CompiledContent> {
    let holder = Holder {
        kind,
        id: id.into(),
        name: name.into(),
    };
    content.compile(holder, anchor, &|_| None).map_err(damaged)
}

pub(super) async fn compile_users(db: &mut Db<'_>, users: Vec<User>) -> Result<Vec<SnapshotUser>> {
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    let mut memberships = groups::members::of_users(db.again(), &ids).await?;
    let mut copies: BTreeMap<UserId, Vec<Arc<Copy>>> = BTreeMap::new();
    for stored in copies::of_users(db.again(), &ids).await? {
        let copy = stored.copy.compile().map_err(damaged)?;
        copies
            .entry(stored.copy.user_id)
            .or_default()
            .push(Arc::new(copy));
    }
    Ok(users
        .into_iter()
        .map(|user| SnapshotUser {
            id: user.id,
            name: user.name.into(),
            is_active: user.is_active,
            copies: copies.remove(&user.id).unwrap_or_default(),
            groups: memberships.remove(&user.id).unwrap_or_default(),
        })
        .collect())
}

pub(super) fn compile_key(
    key: &VirtualKey,
    secrets: Vec<(KeyHash, Option<Timestamp>)>,
) -> Result<SnapshotKey> {
    let compiled = compile(
        &key.content,
        HolderKind::VirtualKey,
        &key.id.to_string(),
        &key.name,
        key.created_at,
    )?;
    Ok(SnapshotKey {
        id: key.id,
        name: key.name.as_str().into(),
        holder: key.holder,
        is_managed: key.is_managed,
        is_active: key.is_active,
        expires_at: key.expires_at,
        secrets,
        grants: compiled.grants,
        mcp: compiled.mcp,
        meters: compiled.meters,
        settings: compiled.settings,
    })
}

pub(super) fn compile_group(group: &StoredGroup, profile: Option<&GroupCopy>) -> Result<Group> {
    let kind = match GroupKind::of(group.id) {
        GroupKind::Team => HolderKind::Team,
        GroupKind::BusinessUnit => HolderKind::BusinessUnit,
        GroupKind::Customer => HolderKind::Customer,
    };
    let compiled = compile(
        &group.content,
        kind,
        &group_id::text(group.id),
        &group.name,
        group.created_at,
    )?;
    Ok(Group {
        id: group.id,
        name: group.name.as_str().into(),
        meters: compiled.meters,
        parents: group.parents.clone(),
        profile: profile.map(compile_group_copy).transpose()?,
        settings: compiled.settings,
    })
}

fn compile_group_copy(copy: &GroupCopy) -> Result<GroupProfile> {
    let compiled = compile(
        &copy.content,
        HolderKind::AccessProfile,
        &copy.id.to_string(),
        &copy.name,
        copy.assigned_at,
    )?;
    Ok(GroupProfile {
        mode: copy.mode,
        copy: Arc::new(Copy {
            id: copy.id,
            profile_id: copy.parent_profile_id,
            profile_version: copy.profile_version,
            name: copy.name.as_str().into(),
            is_active: copy.is_active,
            expires_at: None,
            priority: 0,
            assigned_at: copy.assigned_at,
            grants: compiled.grants,
            mcp: compiled.mcp,
            meters: compiled.meters,
            settings: compiled.settings,
            alert_thresholds: copy.content.alert_thresholds.as_slice().into(),
        }),
    })
}

pub(super) fn compile_model_config(config: &StoredModelConfig) -> Result<CompiledContent> {
    compile(
        &config.content,
        HolderKind::ModelConfig,
        &config.id.to_string(),
        &config.model_name,
        config.created_at,
    )
}

pub(super) fn compile_provider(
    provider: &StoredProvider,
    keys: &[StoredProviderKey],
    env: &EnvLookup,
) -> Result<Provider> {
    let holder = Arc::new(Holder {
        kind: HolderKind::Provider,
        id: provider.name.as_str().into(),
        name: provider.name.as_str().into(),
    });
    let place = MeterPlace {
        holder: &holder,
        scope: "total",
        anchor: provider.created_at,
        aligned_to: None,
    };
    let keys = keys
        .iter()
        .filter(|key| key.is_enabled && key.provider == provider.name)
        .filter_map(|key| Some((key, secret_of(key, env)?)))
        .map(|(key, secret)| compile_provider_key(key, secret))
        .collect::<Result<_>>()?;
    Ok(Provider {
        name: provider.name.clone(),
        kind: provider.kind,
        is_keyless: provider.is_keyless,
        network: provider.network.clone().map(Arc::new),
        keys,
        meters: provider.limits.meters(&place, &|_| None),
        revision: provider.revision,
    })
}

/// A key whose secret is missing is left out: it could only be refused by the provider.
fn secret_of(key: &StoredProviderKey, env: &EnvLookup) -> Option<SecretString> {
    match &key.value {
        KeyValue::Literal(secret) => Some(secret.clone()),
        KeyValue::Env(name) => {
            let secret = env(name);
            if secret.is_none() {
                tracing::warn!(
                    provider.name = %key.provider,
                    provider_key.name = %key.name,
                    variable = %name,
                    "a provider key is left out, because its environment variable is not set or not allowed"
                );
            }
            secret
        }
        KeyValue::Missing => None,
    }
}

fn compile_provider_key(key: &StoredProviderKey, secret: SecretString) -> Result<Arc<ProviderKey>> {
    let list = |entries: &[String]| ModelList::compile(entries).map_err(damaged);
    Ok(Arc::new(ProviderKey {
        id: key.id,
        name: key.name.as_str().into(),
        secret,
        models: list(&key.models)?,
        blacklisted_models: list(&key.blacklisted_models)?,
        weight: key.weight,
        aliases: key.aliases.clone(),
    }))
}
