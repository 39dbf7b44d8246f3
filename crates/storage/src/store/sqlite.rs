//! SQLite: one file, write-ahead log, one writer.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::Pools;
use crate::error::{Result, StorageError};
use crate::sql::{Connection, query};

/// How long a statement waits for a writer in another process (`tollgate api-keys create` beside a running server).
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a write waits for its turn.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const READERS: u32 = 4;

pub(super) async fn open(path: &str) -> Result<Pools> {
    if path.is_empty() || path.contains('?') || path.contains(":memory:") {
        return Err(StorageError::Address(
            "`sqlite:` takes the path of a file and no options".to_owned(),
        ));
    }
    let path = PathBuf::from(path);
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A fold that was committed must survive a power cut, because its journal segment may be deleted.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("temp_store", "memory")
        // The log is moved into the file by `Store::checkpoint` when nobody writes. A write does it on its way only after
        // 32 MiB without such a moment.
        .pragma("wal_autocheckpoint", "8192")
        .pragma("journal_size_limit", "67108864");
    let pool = |connections| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    // The writer first: it makes the file and switches it to the write-ahead log.
    let write = pool(1).connect_with(options.clone()).await?;
    let read = pool(READERS).connect_lazy_with(options);
    Ok(Pools::Sqlite { read, write, path })
}

pub(super) async fn checkpoint(pool: &SqlitePool) -> Result<()> {
    let mut connection = pool.acquire().await?;
    // The kind that waits for nobody, and that nobody waits for.
    Connection::Sqlite(&mut connection)
        .rows(query("pragma wal_checkpoint(passive)"))
        .await
        .map(drop)
}
