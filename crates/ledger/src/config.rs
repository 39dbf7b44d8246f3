//! How a ledger is set up.

use std::path::PathBuf;
use std::time::Duration;

use uuid::Uuid;

/// How a ledger is set up.
#[derive(Debug, Clone)]
pub struct LedgerConfig {
    /// The data directory. The journal lives in `journal` inside it, and `lock` inside it admits one process.
    pub data_dir: PathBuf,
    /// Longest time that a written record waits for the disk; zero: each answer waits until its settlement is on disk.
    pub sync_interval: Duration,
    /// Size at which a segment of the journal is closed and a new one begun, in bytes.
    pub segment_bytes: u64,
    /// The id of the journal, should this be its first start.
    pub new_journal_id: Uuid,
    /// Starts although the journal is missing, or is another database's: what only it knew is lost.
    pub accepts_foreign_journal: bool,
}

impl LedgerConfig {
    /// The defaults for this data directory: a sync every 100 ms, segments of 64 MiB.
    pub fn new(data_dir: impl Into<PathBuf>, new_journal_id: Uuid) -> Self {
        Self {
            data_dir: data_dir.into(),
            sync_interval: Duration::from_millis(100),
            segment_bytes: 64 << 20,
            new_journal_id,
            accepts_foreign_journal: false,
        }
    }
}
