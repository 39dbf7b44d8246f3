//! What a configuration leads to: the data directory, the vault and the database, as serving and the other commands
//! open them.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use secrecy::SecretString;
use tollgate_domain::clock::{SystemClock, SystemIds};
use tollgate_domain::{Clock, IdSource};
use tollgate_management::{EnvironmentNames, SecretSource, SystemSecrets};
use tollgate_storage::{StorageError, Store, Vault};

use crate::bootstrap::Founding;
use crate::config::{Config, Environment};
use crate::failure::Failure;
use crate::master_key;
use crate::publisher::Snapshots;

/// The open database, and where time, ids and randomness come from.
pub(crate) struct Installation {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) secrets: Arc<dyn SecretSource>,
}

impl Installation {
    /// Opens everything that is there, and makes what is missing.
    ///
    /// # Errors
    /// A configuration that cannot work (78) as far as it can be told from a database that is down (1).
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        make_data_dir(&config.data_dir)?;
        let vault = Arc::new(master_key::open_vault(config)?);
        Self::open_with(config, vault).await
    }

    /// The same with this vault.
    pub(crate) async fn open_with(config: &Config, vault: Arc<Vault>) -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock);
        let store = Store::connect(&database_url(config), vault, clock.now())
            .await
            .map_err(|error| {
                let is_wrong_setting =
                    matches!(error, StorageError::Sealed | StorageError::Address(_));
                let error = anyhow::Error::new(error).context("open the database");
                if is_wrong_setting {
                    Failure::Config(error)
                } else {
                    Failure::Other(error)
                }
            })?;
        Ok(Self {
            store,
            clock,
            ids: Arc::new(SystemIds),
            secrets: Arc::new(SystemSecrets::new()),
        })
    }

    /// Reads snapshots, with the variables that provider keys may name.
    pub(crate) fn snapshots(&self, config: &Config, environment: Environment) -> Snapshots {
        let allowed = EnvironmentNames::new(config.providers.env_allow.clone());
        let lookup = move |name: &str| -> Option<SecretString> {
            if !allowed.allow(name) {
                return None;
            }
            environment.get(name).ok().flatten().map(SecretString::from)
        };
        Snapshots {
            store: self.store.clone(),
            environment: Arc::new(lookup),
        }
    }

    /// What writes at the start need.
    pub(crate) fn founding(&self) -> Founding {
        Founding {
            store: self.store.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            secrets: self.secrets.clone(),
        }
    }
}

/// The database's address: as configured, else a file in the data directory.
pub(crate) fn database_url(config: &Config) -> String {
    match &config.database.url {
        Some(url) => url.expose().to_owned(),
        None => format!("sqlite:{}", config.data_dir.join("tollgate.db").display()),
    }
}

/// The database's file, when it is SQLite.
pub(crate) fn sqlite_file(config: &Config) -> Option<PathBuf> {
    let url = database_url(config);
    let path = url.strip_prefix("sqlite:")?;
    Some(path.strip_prefix("//").unwrap_or(path).into())
}

/// Only its owner may look into it.
pub(crate) fn make_data_dir(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("make the data directory `{}`", path.display()))
        .map_err(Failure::Other)
}
