//! The first management key.

use anyhow::{Context as _, bail};
use secrecy::SecretString;
use tollgate_domain::ids::ManagementKeyId;
use tollgate_management::{MANAGEMENT_KEY_PREFIX, NewSecret, describe_secret};
use tollgate_storage::Tx;
use tollgate_storage::management_keys::{self, NewManagementKey};

use super::Founding;
use crate::config::Secret;
use crate::failure::Failure;

/// Fewer characters after the prefix could be guessed.
const SHORTEST: usize = 32;

const NAME: &str = "first administrator";

/// Sees to it that there is a management key. Answers a new one, to be shown once.
///
/// A configured key is added whenever the database does not know it, so that setting it also works later. Without one,
/// a key is made only when there is none at all.
pub(crate) async fn ensure_admin_key(
    founding: &Founding,
    configured: Option<&Secret>,
) -> Result<Option<SecretString>, Failure> {
    match configured {
        Some(secret) => {
            check(secret.expose()).map_err(Failure::Config)?;
            adopt(founding, secret.expose()).await?;
            Ok(None)
        }
        None => Ok(make_first(founding).await?),
    }
}

/// Makes a management key that may do everything.
pub(crate) async fn create_management_key(
    founding: &Founding,
    name: &str,
) -> anyhow::Result<SecretString> {
    let mut tx = founding.store.begin().await?;
    let secret = create(founding, &mut tx, name).await?;
    commit(tx).await?;
    Ok(secret)
}

fn check(text: &str) -> anyhow::Result<()> {
    match text.strip_prefix(MANAGEMENT_KEY_PREFIX) {
        Some(rest)
            if rest.len() >= SHORTEST && rest.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(())
        }
        _ => bail!(
            "`admin_key`: a management key is `{MANAGEMENT_KEY_PREFIX}` and at least {SHORTEST} further characters without spaces"
        ),
    }
}

async fn adopt(founding: &Founding, text: &str) -> anyhow::Result<()> {
    let (secret_hash, key_prefix) = describe_secret(text, MANAGEMENT_KEY_PREFIX);
    let mut tx = founding.store.begin().await?;
    if management_keys::find_by_hash(&mut tx, &secret_hash)
        .await?
        .is_none()
    {
        store(founding, &mut tx, NAME, secret_hash, key_prefix).await?;
        commit(tx).await?;
    }
    Ok(())
}

async fn make_first(founding: &Founding) -> anyhow::Result<Option<SecretString>> {
    let mut tx = founding.store.begin().await?;
    if management_keys::exist(&mut tx).await? {
        return Ok(None);
    }
    let secret = create(founding, &mut tx, NAME).await?;
    commit(tx).await?;
    Ok(Some(secret))
}

async fn create(founding: &Founding, tx: &mut Tx, name: &str) -> anyhow::Result<SecretString> {
    let secret = NewSecret::generate(MANAGEMENT_KEY_PREFIX, founding.secrets.as_ref())?;
    store(founding, tx, name, secret.hash, secret.masked).await?;
    Ok(secret.value)
}

async fn store(
    founding: &Founding,
    tx: &mut Tx,
    name: &str,
    secret_hash: [u8; 32],
    key_prefix: String,
) -> anyhow::Result<()> {
    let id = ManagementKeyId::from_uuid(founding.ids.next_uuid());
    let new = NewManagementKey {
        id,
        name: name.to_owned(),
        description: None,
        secret_hash,
        key_prefix,
        scopes: None,
        expires_at: None,
    };
    management_keys::create(tx, &new, founding.clock.now())
        .await
        .context("store a management key")?;
    founding.record(tx, "api_key", id).await?;
    Ok(())
}

/// The data plane does not read management keys, so there is nothing to publish.
async fn commit(tx: Tx) -> anyhow::Result<()> {
    let _changes = tx.commit().await.context("store a management key")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_keys_must_be_long_and_ours() {
        assert!(check(&format!("tgm-{}", "x".repeat(32))).is_ok());
        for bad in [
            "",
            "tgm-",
            "tgm-short",
            &"x".repeat(40),
            &format!("tgm-{}", " x".repeat(20)),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
