//! What can go wrong in the ledger.

use std::io;
use std::path::{Path, PathBuf};

use tollgate_domain::accounting::JournalPosition;
use tollgate_domain::error::LimitRefusal;
use uuid::Uuid;

/// Why a hold was not given. Nothing is held then.
#[derive(Debug, thiserror::Error)]
pub enum ReserveError {
    /// A limit has no room; these are its numbers under the lock. [`LimitRefusal::largest_output_that_fits`] is left to
    /// the caller, who knows the prices.
    #[error("{0}")]
    Full(Box<LimitRefusal>),
    /// The journal takes no writes.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The journal takes no writes now: the disk is full, or failed. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the ledger takes no writes now: {reason}")]
pub struct Unavailable {
    /// For the log, not for callers of the data plane.
    pub reason: String,
}

/// Why a ledger does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works on this data directory.
    #[error(
        "the data directory `{dir}` is in use by another process; stop it, or name another directory"
    )]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The journal that the database belongs to is not here.
    #[error(
        "the database belongs to the journal `{expected}`, which is not in `{dir}`; restore it, or accept its loss by setting `journal.accept_foreign`"
    )]
    Missing {
        /// The journal that the database knows.
        expected: Uuid,
        /// Where it should be.
        dir: PathBuf,
    },
    /// The journal belongs to another database.
    #[error(
        "the journal in `{dir}` is `{found}`, which this database does not know; put the right one back, or have it set aside by setting `journal.accept_foreign`"
    )]
    Foreign {
        /// The journal that is here.
        found: Uuid,
        /// Where it is.
        dir: PathBuf,
    },
    /// A record that was safely on disk is damaged.
    #[error(
        "the journal is damaged at byte {} of segment {}, before the last point known to be on disk; look at it with `tollgate journal verify`, and keep what is readable with `tollgate journal repair`",
        .at.offset, .at.segment
    )]
    Damaged {
        /// Where.
        at: JournalPosition,
    },
    /// Nothing may be written there: the file system is mounted read-only, or belongs to somebody else.
    #[error(
        "the journal in `{dir}` cannot be written; make the directory and what is in it writable for the user that this runs as"
    )]
    NotWritable {
        /// Where.
        dir: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The file system failed.
    #[error("the journal in `{dir}` cannot be opened")]
    Io {
        /// Where.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl OpenError {
    /// What a failure of the file system under `dir` means.
    pub(crate) fn of(dir: &Path, source: io::Error) -> Self {
        let dir = dir.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::NotWritable { dir, source }
            }
            _ => Self::Io { dir, source },
        }
    }
}

/// Why the journal was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A batch was asked for that does not follow the last one.
    #[error("the journal is folded up to {expected:?}, and was asked to go on from {asked:?}")]
    OutOfOrder {
        /// Where the next batch starts.
        expected: JournalPosition,
        /// What was asked for.
        asked: JournalPosition,
    },
    /// A record does not read.
    #[error("the journal is damaged at byte {} of segment {}", .at.offset, .at.segment)]
    Damaged {
        /// Where.
        at: JournalPosition,
    },
    /// The file system failed.
    #[error("the journal cannot be read")]
    Io(#[from] io::Error),
    /// What is to be folded could not be made durable first.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}
