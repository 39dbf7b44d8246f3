//! Brings an embedded database's write-ahead log into its file when nobody writes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_storage::Store;

/// So long nobody has to have written. What is moved lies all over the file, and whoever commits meanwhile waits longer for
/// the disk: `docs/adr/0022-checkpoints-wait-for-a-quiet-moment.md`.
const QUIET: Duration = Duration::from_secs(1);

/// Works until `stop`. What is left then is moved when the database is closed.
pub(crate) async fn checkpoint(store: Store, stop: CancellationToken) {
    let pause = || tokio::time::sleep(QUIET);
    let mut log = Log::left_by_earlier_process(store.commits());
    let mut is_failing = false;
    while stop.run_until_cancelled(pause()).await.is_some() {
        if !log.is_due(store.commits()) {
            continue;
        }
        match store.checkpoint().await {
            Ok(()) => {
                log.is_moved = true;
                if std::mem::take(&mut is_failing) {
                    tracing::info!("the database's log is moved into its file again");
                }
            }
            Err(error) if is_failing => tracing::debug!(%error, "the database's log still waits"),
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "the database's log waits to be moved into its file; it is tried again");
            }
        }
    }
}

/// What is known of the log.
#[derive(Debug)]
struct Log {
    /// The commits when it was last looked at.
    commits: u64,
    /// Whether the file has everything up to there.
    is_moved: bool,
}

impl Log {
    const fn left_by_earlier_process(commits: u64) -> Self {
        Self {
            commits,
            is_moved: false,
        }
    }

    /// Whether there is something to move, and nobody has committed since the last look.
    fn is_due(&mut self, commits: u64) -> bool {
        if std::mem::replace(&mut self.commits, commits) != commits {
            self.is_moved = false;
            return false;
        }
        !self.is_moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_moved_once_after_the_last_commit() {
        let mut log = Log::left_by_earlier_process(3);
        assert!(log.is_due(3), "what an earlier process left");
        assert!(log.is_due(3), "the last time failed");
        log.is_moved = true;
        assert!(!log.is_due(3), "nothing was written since");
        assert!(!log.is_due(5), "somebody writes");
        assert!(!log.is_due(6), "and goes on");
        assert!(log.is_due(6));
        log.is_moved = true;
        assert!(!log.is_due(6));
    }
}
