//! The key that encrypts secrets at rest: from the configuration, or from a file in the data directory.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tollgate_storage::Vault;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::failure::Failure;

/// The file's name in the data directory.
const FILE_NAME: &str = "master.key";

/// Where the key file of this data directory is.
pub(crate) fn file_in(data_dir: &Path) -> PathBuf {
    data_dir.join(FILE_NAME)
}

/// The vault of this installation. Without a configured key a key file is used, and made when there is none.
pub(crate) fn open_vault(config: &Config) -> Result<Vault, Failure> {
    if let Some(key) = &config.master_key {
        return vault_of(key.expose())
            .context("`master_key`")
            .map_err(Failure::Config);
    }
    let path = file_in(&config.data_dir);
    match fs::metadata(&path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(Failure::Config(anyhow::anyhow!(
                    "others may read the key file `{}` (mode {mode:o}); run `chmod 600` on it",
                    path.display()
                )));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = Vault::generate_master_key().context("make a master key")?;
            write_new(&path, &key)?;
            tracing::warn!(
                path = %path.display(),
                "no master key is configured: made a key file; whoever copies it together with the database reads all secrets, and without it they are lost"
            );
        }
        Err(error) => {
            return Err(Failure::Other(
                anyhow::Error::new(error).context(format!("look at `{}`", path.display())),
            ));
        }
    }
    let key = read(&path)?;
    vault_of(&key)
        .with_context(|| format!("key file `{}`", path.display()))
        .map_err(Failure::Config)
}

/// Reads a key file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_context(|| format!("read `{}`", path.display()))
}

/// Writes a key file that only its owner may read. It must not exist.
pub(crate) fn write_new(path: &Path, key: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        writeln!(file, "{key}")?;
        file.sync_all()
    };
    write().with_context(|| format!("write the key file `{}`", path.display()))
}

fn vault_of(text: &str) -> anyhow::Result<Vault> {
    let key = Vault::parse_master_key(text)?;
    Ok(Vault::new(key.as_slice())?)
}
