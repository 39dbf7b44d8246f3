//! Configured model providers.

pub mod keys;
mod network;

use secrecy::{ExposeSecret, SecretString};
use tollgate_domain::Timestamp;
use tollgate_domain::limits::LimitSet;
use tollgate_domain::provider::{NetworkSettings, ProviderName, ProviderType};
use tollgate_domain::snapshot::SnapshotChange;

use self::network::NetworkRow;
use crate::error::Result;
use crate::sql::{Row, corrupt, from_json, query, to_json};
use crate::tx::{Db, Tx};
use crate::vault::{Place, Vault};

/// A configured provider.
#[derive(Debug, Clone)]
pub struct StoredProvider {
    /// Unique.
    pub name: ProviderName,
    /// Its wire format.
    pub kind: ProviderType,
    /// Whether it takes no credential.
    pub is_keyless: bool,
    /// How to reach it; absent for [`ProviderType::Sandbox`].
    pub network: Option<NetworkSettings>,
    /// Limits on everything sent to it.
    pub limits: LimitSet,
    /// Steps with every change of it or its keys.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

const SELECT: &str = "select name, kind, is_keyless, network, extra_headers_sealed, content, revision, created_at, \
                      updated_at from providers";

/// Stores a provider, whose instants are both `provider.created_at`.
///
/// # Errors
/// [`Constraint::ProviderName`](crate::Constraint::ProviderName) when the name is taken.
pub async fn create(tx: &mut Tx, provider: &StoredProvider) -> Result<()> {
    let (network, headers) = network_columns(tx.vault(), provider)?;
    tx.execute(
        query(
            "insert into providers (name, kind, is_keyless, network, extra_headers_sealed, content, revision,
                 created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, 1, $7, $7)",
        )
        .bind_text(&provider.name)
        .bind(provider.kind.as_str())
        .bind(provider.is_keyless)
        .bind(network)
        .bind(headers)
        .bind(to_json("content", &provider.limits)?)
        .bind(provider.created_at),
    )
    .await?;
    tx.changed(SnapshotChange::Providers);
    Ok(())
}

/// The provider of this name.
pub async fn find(db: impl Into<Db<'_>>, name: &ProviderName) -> Result<Option<StoredProvider>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" where name = ");
    statement.push_value(name.as_str());
    let row = db.row(statement).await?;
    row.map(|row| read(db.store().vault(), &row)).transpose()
}

/// Every provider, by name. Providers are few.
pub async fn list(db: impl Into<Db<'_>>) -> Result<Vec<StoredProvider>> {
    let mut db = db.into();
    let mut statement = query(SELECT);
    statement.push(" order by name");
    let rows = db.rows(statement).await?;
    rows.iter()
        .map(|row| read(db.store().vault(), row))
        .collect()
}

/// Stores a changed provider, as of `provider.updated_at`. False when there is no such provider.
pub async fn update(tx: &mut Tx, provider: &StoredProvider) -> Result<bool> {
    let (network, headers) = network_columns(tx.vault(), provider)?;
    let changed = tx
        .execute(
            query(
                "update providers set kind = $2, is_keyless = $3, network = $4, extra_headers_sealed = $5,
                     content = $6, revision = revision + 1, updated_at = $7
                 where name = $1",
            )
            .bind_text(&provider.name)
            .bind(provider.kind.as_str())
            .bind(provider.is_keyless)
            .bind(network)
            .bind(headers)
            .bind(to_json("content", &provider.limits)?)
            .bind(provider.updated_at),
        )
        .await?
        > 0;
    if changed {
        tx.changed(SnapshotChange::Providers);
    }
    Ok(changed)
}

/// Deletes a provider with its keys. False when there is no such provider.
pub async fn delete(tx: &mut Tx, name: &ProviderName) -> Result<bool> {
    let deleted = tx
        .execute(query("delete from providers where name = $1").bind_text(name))
        .await?
        > 0;
    if deleted {
        tx.changed(SnapshotChange::Providers);
    }
    Ok(deleted)
}

/// Notes that a provider's keys changed.
async fn step_revision(tx: &mut Tx, name: &ProviderName) -> Result<()> {
    tx.execute(
        query("update providers set revision = revision + 1 where name = $1").bind_text(name),
    )
    .await?;
    tx.changed(SnapshotChange::Providers);
    Ok(())
}

fn headers_place(name: &ProviderName) -> Place<'_> {
    Place {
        table: "providers",
        column: "extra_headers_sealed",
        row: name.as_str(),
    }
}

fn network_columns(
    vault: &Vault,
    provider: &StoredProvider,
) -> Result<(Option<String>, Option<String>)> {
    let Some(network) = &provider.network else {
        return Ok((None, None));
    };
    let row = to_json("network", &NetworkRow::from(network))?;
    if network.extra_headers.is_empty() {
        return Ok((Some(row), None));
    }
    let plain: Vec<(&str, &str)> = network
        .extra_headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose_secret()))
        .collect();
    let plain = SecretString::from(to_json("extra_headers_sealed", &plain)?);
    let sealed = vault.seal(&headers_place(&provider.name), &plain)?;
    Ok((Some(row), Some(sealed)))
}

fn read(vault: &Vault, row: &Row) -> Result<StoredProvider> {
    let name: ProviderName = row.parse("name")?;
    let kind: String = row.get("kind")?;
    let headers = match row.get::<Option<String>>("extra_headers_sealed")? {
        Some(sealed) => {
            let plain = vault.open(&headers_place(&name), &sealed)?;
            let pairs: Vec<(String, String)> =
                from_json("extra_headers_sealed", plain.expose_secret())?;
            pairs
                .into_iter()
                .map(|(name, value)| (name, SecretString::from(value)))
                .collect()
        }
        None => Vec::new(),
    };
    Ok(StoredProvider {
        name,
        kind: ProviderType::parse(&kind).ok_or_else(|| corrupt("kind", "unknown provider type"))?,
        is_keyless: row.get("is_keyless")?,
        network: row
            .json_opt::<NetworkRow>("network")?
            .map(|network| network.with_headers(headers))
            .transpose()?,
        limits: row.json("content")?,
        revision: row.unsigned("revision")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}
