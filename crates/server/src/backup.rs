//! The layout of a backup: a directory with the database, the journal and a line about both.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;

/// Steps when an older version could not read a backup.
pub(crate) const FORMAT: u32 = 1;

/// What is in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) version: String,
    /// `sqlite` or `postgres`.
    pub(crate) engine: String,
    pub(crate) created_at: Timestamp,
}

/// The places in a backup's directory.
pub(crate) struct Layout(pub(crate) PathBuf);

impl Layout {
    pub(crate) fn manifest(&self) -> PathBuf {
        self.0.join("backup.json")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal")
    }

    /// A SQLite file.
    pub(crate) fn sqlite(&self) -> PathBuf {
        self.0.join("tollgate.db")
    }

    /// What `pg_dump` wrote.
    pub(crate) fn postgres(&self) -> PathBuf {
        self.0.join("tollgate.dump")
    }
}

/// Copies the files of a directory that has only files; the copy is on disk afterwards.
pub(crate) fn copy_files(from: &Path, to: &Path) -> std::io::Result<u64> {
    fs::create_dir_all(to)?;
    let mut copied = 0;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if !entry.file_type()?.is_file() {
            continue;
        }
        let target = to.join(entry.file_name());
        fs::copy(entry.path(), &target)?;
        fs::File::open(&target)?.sync_all()?;
        copied += 1;
    }
    fs::File::open(to)?.sync_all()?;
    Ok(copied)
}

/// Where the journal of a data directory is.
pub(crate) fn journal_in(data_dir: &Path) -> PathBuf {
    data_dir.join("journal")
}

/// Reads a backup's manifest.
pub(crate) fn read_manifest(layout: &Layout) -> anyhow::Result<Manifest> {
    let path = layout.manifest();
    let text =
        fs::read(&path).with_context(|| format!("read `{}`; is this a backup?", path.display()))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).with_context(|| format!("read `{}`", path.display()))?;
    anyhow::ensure!(
        manifest.format <= FORMAT,
        "the backup was made by version {}, which is newer than this one",
        manifest.version
    );
    Ok(manifest)
}
