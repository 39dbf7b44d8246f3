//! One process serves from a database at a time.

use std::fs::{File, TryLockError};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::PgConnection;

use crate::error::{Result, StorageError};
use crate::sql::{Connection, query};
use crate::store::{Pools, Store};

/// The server's lock ("tollserv" in ASCII); another than the writers' of `tx`, which the command line takes too.
const SERVER: i64 = 0x746f_6c6c_7365_7276;
/// After a process died, PostgreSQL takes a moment to notice; whoever starts right away waits for it so long.
const PATIENCE: &str = "set lock_timeout = '5s'";
/// How long the database may take to say that the lock is still held.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Held by the one process that serves from a database; freed when dropped or when the process dies.
#[derive(Debug)]
pub struct WriterLock(Holder);

#[derive(Debug)]
enum Holder {
    /// The lock on a file beside the database; the kernel frees it.
    File { _file: File },
    /// A session that holds an advisory lock; the server frees it when the session ends.
    Session(Box<PgConnection>),
}

impl Store {
    /// Takes the lock of the one process that serves from this database.
    ///
    /// # Errors
    /// [`StorageError::Locked`] when another process has it, on PostgreSQL after five seconds.
    pub async fn lock(&self) -> Result<WriterLock> {
        match self.pools() {
            Pools::Sqlite { path, .. } => {
                let mut name = path.clone().into_os_string();
                name.push(".lock");
                let file = File::options()
                    .create(true)
                    .truncate(false)
                    .write(true)
                    .open(&name)
                    .map_err(|error| StorageError::Unavailable(sqlx::Error::Io(error)))?;
                match file.try_lock() {
                    Ok(()) => Ok(WriterLock(Holder::File { _file: file })),
                    Err(TryLockError::WouldBlock) => Err(StorageError::Locked),
                    Err(TryLockError::Error(error)) => {
                        Err(StorageError::Unavailable(sqlx::Error::Io(error)))
                    }
                }
            }
            Pools::Postgres { write, .. } => {
                // A session of its own: a pool would close it or hand it to others.
                let mut session =
                    PgConnection::connect_with(&write.connect_options().as_ref().clone()).await?;
                Connection::Postgres(&mut session)
                    .execute(query(PATIENCE))
                    .await?;
                let taken = Connection::Postgres(&mut session)
                    .execute(query("select pg_advisory_lock($1)").bind(SERVER))
                    .await;
                match taken {
                    Ok(_) => Ok(WriterLock(Holder::Session(Box::new(session)))),
                    Err(error) if is_refused(&error) => Err(StorageError::Locked),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

/// Whether the lock could not be had in time.
fn is_refused(error: &StorageError) -> bool {
    matches!(error, StorageError::Unavailable(sqlx::Error::Database(cause)) if cause.code().as_deref() == Some("55P03"))
}

impl WriterLock {
    /// Makes sure that the lock is still held. A server calls this every few seconds, and stops admitting requests when
    /// it fails: another process may serve by then.
    ///
    /// # Errors
    /// When the session that held the lock is gone, or does not answer in time. The lock cannot be had back.
    pub async fn check(&mut self) -> Result<()> {
        match &mut self.0 {
            Holder::File { .. } => Ok(()),
            Holder::Session(session) => tokio::time::timeout(ANSWER_TIMEOUT, session.ping())
                .await
                .map_err(|_| StorageError::Unavailable(sqlx::Error::PoolTimedOut))?
                .map_err(StorageError::from),
        }
    }

    /// Frees the lock, and waits until it is free.
    ///
    /// # Errors
    /// When the session ended before; then the lock was free already.
    pub async fn release(self) -> Result<()> {
        match self.0 {
            Holder::File { .. } => Ok(()),
            Holder::Session(session) => Ok(session.close().await?),
        }
    }
}
