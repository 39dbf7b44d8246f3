//! Facts about the installation itself.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::audit::ChainKey;
use crate::error::{Result, StorageError};
use crate::sql::query;
use crate::tx::{Db, Tx};
use crate::vault::Place;

const MASTER_KEY_CHECK: &str = "master_key_check";
const AUDIT_CHAIN_KEY: &str = "audit_chain_key";
/// What the check holds; its content does not matter, only that it opens.
const CHECK_TEXT: &str = "tollgate";

/// The value of the setting `name`.
pub async fn find(db: impl Into<Db<'_>>, name: &str) -> Result<Option<String>> {
    db.into()
        .row(query("select value from settings where name = $1").bind(name))
        .await?
        .map(|row| row.get("value"))
        .transpose()
}

/// Sets the setting `name`.
pub async fn put(tx: &mut Tx, name: &str, value: &str) -> Result<()> {
    tx.execute(
        query(
            "insert into settings (name, value) values ($1, $2)
             on conflict (name) do update set value = excluded.value",
        )
        .bind(name)
        .bind(value),
    )
    .await
    .map(drop)
}

/// Refuses a vault whose key is not the database's; a new database takes the vault's key.
pub(crate) async fn check_master_key(tx: &mut Tx) -> Result<()> {
    let stored = sealed_or_new(tx, MASTER_KEY_CHECK, || Ok(CHECK_TEXT.into())).await?;
    if stored.expose_secret() == CHECK_TEXT {
        Ok(())
    } else {
        Err(StorageError::Sealed)
    }
}

/// The key of the audit chain: made once, and kept when the master key is rotated, so that old entries still verify.
pub(crate) async fn chain_key(tx: &mut Tx) -> Result<ChainKey> {
    let stored = sealed_or_new(tx, AUDIT_CHAIN_KEY, || {
        let mut key = [0_u8; 32];
        rand::fill(&mut key).map_err(|_| StorageError::Sealed)?;
        Ok(STANDARD_NO_PAD.encode(key).into())
    })
    .await?;
    let bytes = STANDARD_NO_PAD
        .decode(stored.expose_secret())
        .map_err(|_| StorageError::Sealed)?;
    Ok(ChainKey::new(&bytes))
}

async fn sealed_or_new(
    tx: &mut Tx,
    name: &'static str,
    new: impl FnOnce() -> Result<SecretString>,
) -> Result<SecretString> {
    let place = Place {
        table: "settings",
        column: "value",
        row: name,
    };
    if let Some(sealed) = find(&mut *tx, name).await? {
        return tx.vault().open(&place, &sealed);
    }
    let secret = new()?;
    let sealed = tx.vault().seal(&place, &secret)?;
    put(tx, name, &sealed).await?;
    Ok(secret)
}
