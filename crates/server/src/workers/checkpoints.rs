//! Brings an embedded database's write-ahead log into its file, so that no write has to do it on its way.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_storage::Store;

/// Pause between two of them. Short, so that each has little to move and to make durable while others write.
const INTERVAL: Duration = Duration::from_secs(1);

/// Works until `stop`. What is left then is moved when the database is closed.
pub(crate) async fn checkpoint(store: Store, stop: CancellationToken) {
    let pause = || tokio::time::sleep(INTERVAL);
    let mut is_failing = false;
    while stop.run_until_cancelled(pause()).await.is_some() {
        match store.checkpoint().await {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("the database's log is moved into its file again");
            }
            Ok(()) => {}
            Err(error) if is_failing => tracing::debug!(%error, "the database's log still waits"),
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "the database's log waits to be moved into its file; it is tried again");
            }
        }
    }
}
