//! The key that encrypts secrets at rest: from the configuration, or from a file in the data directory.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use tollgate_storage::Vault;
use zeroize::Zeroizing;

use crate::config::Config;
use crate::failure::Failure;
use crate::installation::sqlite_file;

/// The file's name in the data directory.
const FILE_NAME: &str = "master.key";

/// Where the master key comes from. Has no `Debug`, since it holds the key.
pub(crate) enum KeySource {
    /// The configuration.
    Configured(Zeroizing<String>),
    /// The key file.
    File {
        path: PathBuf,
        text: Zeroizing<String>,
    },
}

impl KeySource {
    /// The key as it is written.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Configured(text) | Self::File { text, .. } => text,
        }
    }
}

/// The vault of this installation.
pub(crate) fn open_vault(config: &Config) -> Result<Vault, Failure> {
    let source = find(config)?;
    if let KeySource::File { path, .. } = &source
        && next_file(path).exists()
    {
        return Err(Failure::Config(anyhow!(
            "a rotation of the master key was interrupted; finish it with `tollgate master-key rotate`"
        )));
    }
    let open = || -> anyhow::Result<Vault> {
        let key = Vault::parse_master_key(source.text())?;
        Ok(Vault::new(key.as_slice())?)
    };
    open()
        .with_context(|| match &source {
            KeySource::Configured(_) => "`master_key`".to_owned(),
            KeySource::File { path, .. } => format!("key file `{}`", path.display()),
        })
        .map_err(Failure::Config)
}

/// The master key. Without a configured one the key file is used, and made when there is none.
pub(crate) fn find(config: &Config) -> Result<KeySource, Failure> {
    if let Some(key) = &config.master_key {
        let text = Zeroizing::new(key.expose().to_owned());
        return Ok(KeySource::Configured(text));
    }
    let path = config.data_dir.join(FILE_NAME);
    match fs::metadata(&path) {
        Ok(metadata) => {
            let mode = metadata.permissions().mode() & 0o777;
            if mode & 0o077 != 0 {
                return Err(Failure::Config(anyhow!(
                    "others may read the key file `{}` (mode {mode:o}); run `chmod 600` on it",
                    path.display()
                )));
            }
            // What a process left that died after it had put the key in place. That it is in the way is no failure.
            let _ = fs::remove_file(begun_file(&path));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            // A new key would not open what is there, and would hide that the old one is missing.
            if let Some(database) = sqlite_file(config).filter(|database| database.exists()) {
                return Err(Failure::Config(anyhow!(
                    "the database `{}` is there and its key file `{}` is not; put the key file back, or configure the key",
                    database.display(),
                    path.display()
                )));
            }
            let key = Vault::generate_master_key().context("make a master key")?;
            write_new(&path, &key)?;
            tracing::warn!(
                path = %path.display(),
                "no master key is configured: made a key file; whoever copies it together with the database reads all secrets, and without it they are lost"
            );
        }
        Err(error) => {
            let error = anyhow::Error::new(error);
            return Err(error
                .context(format!("look at `{}`", path.display()))
                .into());
        }
    }
    let text = read(&path)?;
    Ok(KeySource::File { path, text })
}

/// Where the next key waits until everything is sealed with it.
pub(crate) fn next_file(path: &Path) -> PathBuf {
    path.with_extension("key.next")
}

/// Reads a key file.
pub(crate) fn read(path: &Path) -> anyhow::Result<Zeroizing<String>> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .with_context(|| format!("read `{}`", path.display()))
}

/// Writes a key file that only its owner may read: whole or not at all, and on the disk when this returns, since what is
/// sealed with the key may be there a moment later. It must not exist.
pub(crate) fn write_new(path: &Path, key: &str) -> anyhow::Result<()> {
    let begun = begun_file(path);
    let write = || -> std::io::Result<()> {
        // What a process left that died here says nothing, and may be readable for others.
        match fs::remove_file(&begun) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&begun)?;
        writeln!(file, "{key}")?;
        file.sync_all()?;
        // A rename would replace a key that somebody else put there.
        fs::hard_link(&begun, path)?;
        fs::remove_file(&begun)?;
        sync_directory_of(path)
    };
    write().with_context(|| format!("write the key file `{}`", path.display()))
}

/// Where a key file is written before it gets its name.
fn begun_file(path: &Path) -> PathBuf {
    path.with_added_extension("part")
}

/// Puts the next key in the place of the old one.
pub(crate) fn replace(path: &Path) -> anyhow::Result<()> {
    let next = next_file(path);
    fs::rename(&next, path)
        .and_then(|()| sync_directory_of(path))
        .with_context(|| format!("put `{}` in place", next.display()))
}

/// Makes the name of a file durable.
fn sync_directory_of(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
