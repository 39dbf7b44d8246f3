//! Credentials of providers, sealed at rest.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::ProviderKeyId;
use tollgate_domain::provider::ProviderName;

use super::step_revision;
use crate::error::Result;
use crate::sql::{Row, query, to_json};
use crate::tx::{Db, Tx};
use crate::vault::{Place, Vault};

/// Where a credential's secret is.
#[derive(Debug, Clone)]
pub enum KeyValue {
    /// Here.
    Literal(SecretString),
    /// In the environment variable of this name.
    Env(String),
    /// Nowhere: it must be entered again.
    Missing,
}

/// A credential of a provider.
#[derive(Debug, Clone)]
pub struct StoredProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// The provider.
    pub provider: ProviderName,
    /// Unique at the provider.
    pub name: String,
    /// The secret.
    pub value: KeyValue,
    /// The models it may be used for; empty means all.
    pub models: Vec<String>,
    /// The models it may not be used for.
    pub blacklisted_models: Vec<String>,
    /// Larger is tried first.
    pub weight: f64,
    /// Public name → the provider's own model id.
    pub aliases: BTreeMap<String, String>,
    /// Whether it is used.
    pub is_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "select id, provider_name, name, value_sealed, env_name, models, blacklisted_models, weight, \
                      aliases, is_enabled, created_at, updated_at from provider_keys";

/// Stores a credential, whose instants are both `key.created_at`.
///
/// # Errors
/// [`Constraint::ProviderKeyName`](crate::Constraint::ProviderKeyName) when the provider has one of this name;
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such provider.
pub async fn create(tx: &mut Tx, key: &StoredProviderKey) -> Result<()> {
    let (sealed, env) = value_columns(tx.vault(), key)?;
    tx.execute(
        query(
            "insert into provider_keys (id, provider_name, name, value_sealed, env_name, models, blacklisted_models,
                 weight, aliases, is_enabled, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)",
        )
        .bind_text(key.id)
        .bind_text(&key.provider)
        .bind(key.name.as_str())
        .bind(sealed)
        .bind(env)
        .bind(to_json("models", &key.models)?)
        .bind(to_json("blacklisted_models", &key.blacklisted_models)?)
        .bind(key.weight)
        .bind(to_json("aliases", &key.aliases)?)
        .bind(key.is_enabled)
        .bind(key.created_at),
    )
    .await?;
    step_revision(tx, &key.provider).await
}

/// The credential with this id.
pub async fn find(db: impl Into<Db<'_>>, id: ProviderKeyId) -> Result<Option<StoredProviderKey>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" where id = ");
    statement.push_value(id.to_string());
    let row = db.row(statement).await?;
    row.map(|row| read(db.store().vault(), &row)).transpose()
}

/// The credentials of a provider, oldest first.
pub async fn of_provider(
    db: impl Into<Db<'_>>,
    provider: &ProviderName,
) -> Result<Vec<StoredProviderKey>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" where provider_name = ");
    statement.push_value(provider.as_str());
    statement.push(" order by created_at, id");
    let rows = db.rows(statement).await?;
    rows.iter()
        .map(|row| read(db.store().vault(), row))
        .collect()
}

/// Every credential, oldest first. Credentials are few.
pub async fn list(db: impl Into<Db<'_>>) -> Result<Vec<StoredProviderKey>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" order by created_at, id");
    let rows = db.rows(statement).await?;
    rows.iter()
        .map(|row| read(db.store().vault(), row))
        .collect()
}

/// Stores a changed credential, as of `key.updated_at`; its provider stays. False when there is no such credential.
///
/// # Errors
/// As [`create`].
pub async fn update(tx: &mut Tx, key: &StoredProviderKey) -> Result<bool> {
    let (sealed, env) = value_columns(tx.vault(), key)?;
    let changed = tx
        .execute(
            query(
                "update provider_keys set name = $2, value_sealed = $3, env_name = $4, models = $5,
                     blacklisted_models = $6, weight = $7, aliases = $8, is_enabled = $9, updated_at = $10
                 where id = $1",
            )
            .bind_text(key.id)
            .bind(key.name.as_str())
            .bind(sealed)
            .bind(env)
            .bind(to_json("models", &key.models)?)
            .bind(to_json("blacklisted_models", &key.blacklisted_models)?)
            .bind(key.weight)
            .bind(to_json("aliases", &key.aliases)?)
            .bind(key.is_enabled)
            .bind(key.updated_at),
        )
        .await?
        > 0;
    if changed {
        step_revision(tx, &key.provider).await?;
    }
    Ok(changed)
}

/// Forgets the secrets of all credentials of a provider, because it now leads elsewhere: they must not be sent there
/// until somebody enters them again. Returns how many were forgotten.
pub async fn forget_values(tx: &mut Tx, provider: &ProviderName, now: Timestamp) -> Result<u64> {
    let forgotten = tx
        .execute(
            query(
                "update provider_keys set value_sealed = null, env_name = null, updated_at = $2
                 where provider_name = $1 and (value_sealed is not null or env_name is not null)",
            )
            .bind_text(provider)
            .bind(now),
        )
        .await?;
    step_revision(tx, provider).await?;
    Ok(forgotten)
}

/// Deletes a credential. False when there is no such credential.
pub async fn delete(tx: &mut Tx, id: ProviderKeyId) -> Result<bool> {
    let row = tx
        .row(query("delete from provider_keys where id = $1 returning provider_name").bind_text(id))
        .await?;
    let Some(row) = row else {
        return Ok(false);
    };
    step_revision(tx, &row.parse("provider_name")?).await?;
    Ok(true)
}

const fn place(id: &str) -> Place<'_> {
    Place {
        table: "provider_keys",
        column: "value_sealed",
        row: id,
    }
}

fn value_columns(
    vault: &Vault,
    key: &StoredProviderKey,
) -> Result<(Option<String>, Option<String>)> {
    Ok(match &key.value {
        KeyValue::Literal(secret) => (Some(vault.seal(&place(&key.id.to_string()), secret)?), None),
        KeyValue::Env(name) => (None, Some(name.clone())),
        KeyValue::Missing => (None, None),
    })
}

fn read(vault: &Vault, row: &Row) -> Result<StoredProviderKey> {
    let id: ProviderKeyId = row.parse("id")?;
    let sealed = row.get::<Option<String>>("value_sealed")?;
    let value = match (sealed, row.get::<Option<String>>("env_name")?) {
        (Some(sealed), _) => KeyValue::Literal(vault.open(&place(&id.to_string()), &sealed)?),
        (None, Some(name)) => KeyValue::Env(name),
        (None, None) => KeyValue::Missing,
    };
    Ok(StoredProviderKey {
        id,
        provider: row.parse("provider_name")?,
        name: row.get("name")?,
        value,
        models: row.json("models")?,
        blacklisted_models: row.json("blacklisted_models")?,
        weight: row.get("weight")?,
        aliases: row.json("aliases")?,
        is_enabled: row.get("is_enabled")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
