//! Watches the lock of the one process that serves from the database.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_storage::{StorageError, Store, WriterLock};

/// Pause between two looks.
const INTERVAL: Duration = Duration::from_secs(3);

/// Looks after the lock until `stop`. Ends before when another process has taken it, which takes this one down.
///
/// A PostgreSQL that restarts ends the session, and the lock with it. While it is away nobody else can have the lock
/// either, and requests go on; when it is back the lock is taken again, or somebody else was faster.
pub(crate) async fn keep_lock(store: Store, lock: WriterLock, stop: CancellationToken) {
    let mut held = Some(lock);
    while stop
        .run_until_cancelled(tokio::time::sleep(INTERVAL))
        .await
        .is_some()
    {
        if let Some(lock) = &mut held {
            match lock.check().await {
                Ok(()) => continue,
                Err(error) => {
                    tracing::warn!(error = %error, "the database's lock is lost; taking it again");
                    held = None;
                }
            }
        }
        match store.lock().await {
            Ok(lock) => {
                tracing::info!("the database's lock is held again");
                held = Some(lock);
            }
            Err(StorageError::Locked) => {
                tracing::error!("another process serves from this database now; stopping");
                return;
            }
            Err(error) => tracing::debug!(error = %error, "the database's lock is not held yet"),
        }
    }
    if let Some(lock) = held
        && let Err(error) = lock.release().await
    {
        tracing::debug!(error = %error, "the database's lock was gone already");
    }
}
