//! `tollgate master-key rotate`: every secret sealed again under a new key.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tollgate_storage::Vault;
use zeroize::Zeroizing;

use crate::cli::RotateArgs;
use crate::config::{Config, Environment, load};
use crate::failure::Failure;
use crate::installation::{Installation, make_data_dir};
use crate::master_key::{self, KeySource};
use crate::output;

pub(super) async fn rotate(args: RotateArgs) -> Result<(), Failure> {
    let loaded = load(&args.common.into(), &Environment::of_process())?;
    let config = loaded.config;
    make_data_dir(&config.data_dir)?;
    let old = master_key::find(&config)?;
    let new = new_key(&config, &old, args.new_key_file.as_deref())?;
    let vault = vault(&new, old.text())?;
    let installation = Installation::open_with(&config, vault).await?;
    // A running server would go on sealing under the old key.
    let lock = installation
        .store
        .lock()
        .await
        .context("take the database's lock")?;
    let resealed = installation
        .store
        .reseal()
        .await
        .context("seal the secrets again")?;
    lock.release().await.context("free the database's lock")?;
    installation.store.close().await;
    match old {
        KeySource::Configured(_) => output::line(format_args!(
            "{resealed} secrets are sealed under the new key; configure it as the master key now"
        )),
        KeySource::File { path, .. } => {
            master_key::replace(&path)?;
            output::line(format_args!(
                "{resealed} secrets are sealed under the new key in `{}`",
                path.display()
            ));
        }
    }
    Ok(())
}

/// The new key. For a key file it stands beside the old one before anything is sealed with it, so that an interrupted
/// rotation loses nothing and can be run again.
fn new_key(
    config: &Config,
    old: &KeySource,
    given: Option<&Path>,
) -> anyhow::Result<Zeroizing<String>> {
    let KeySource::File { path, .. } = old else {
        let Some(file) = given else {
            bail!("the master key is configured; name a file with the new one: `--new-key-file`");
        };
        return master_key::read(file);
    };
    debug_assert!(path.starts_with(&config.data_dir), "key files are in there");
    let next = master_key::next_file(path);
    if !next.exists() {
        let key = match given {
            Some(file) => master_key::read(file)?,
            None => Vault::generate_master_key().context("make a master key")?,
        };
        master_key::write_new(&next, key.trim())?;
    }
    master_key::read(&next)
}

fn vault(new: &str, old: &str) -> Result<Arc<Vault>, Failure> {
    let build = || -> anyhow::Result<Vault> {
        let new = Vault::parse_master_key(new).context("the new key")?;
        let old = Vault::parse_master_key(old).context("the old key")?;
        Ok(Vault::new(new.as_slice())?.with_older(old.as_slice())?)
    };
    build().map(Arc::new).map_err(Failure::Config)
}
