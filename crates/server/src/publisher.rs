//! Brings committed changes into the snapshot that the data plane decides by.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;
use tollgate_domain::snapshot::{Snapshot, SnapshotChange};
use tollgate_gate::Gate;
use tollgate_management::{BoxFuture, PublishError, Publisher};
use tollgate_storage::snapshot::{self, EnvLookup};
use tollgate_storage::{StorageError, Store};

use crate::workers::ChangedLimits;

/// Pause after the first failure; doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);

/// Reads snapshots from the database.
pub(crate) struct Snapshots {
    pub(crate) store: Store,
    /// The variables that provider keys may name.
    pub(crate) environment: Arc<EnvLookup>,
}

impl Snapshots {
    /// The whole policy.
    pub(crate) async fn load(&self) -> Result<Snapshot, StorageError> {
        snapshot::load(&self.store, self.environment.as_ref()).await
    }
}

/// The one writer of the snapshot.
///
/// A publication takes its turn before it reads the database, so what it reads is at least as new as every change that
/// was committed before, and an older state never replaces a newer one.
pub(crate) struct SnapshotPublisher {
    snapshots: Snapshots,
    gate: Arc<Gate>,
    /// Hears of everything that is in force.
    changed: Arc<ChangedLimits>,
    /// Changes that are committed and could not be read yet. Its lock is the turn.
    pending: Mutex<Vec<SnapshotChange>>,
    has_pending: Notify,
}

impl SnapshotPublisher {
    pub(crate) fn new(
        snapshots: Snapshots,
        gate: Arc<Gate>,
        changed: Arc<ChangedLimits>,
    ) -> Arc<Self> {
        Arc::new(Self {
            snapshots,
            gate,
            changed,
            pending: Mutex::new(Vec::new()),
            has_pending: Notify::new(),
        })
    }

    /// Tries again what could not be published, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.has_pending.notified())
            .await
            .is_some()
        {
            let mut backoff = FIRST_BACKOFF;
            loop {
                if stop
                    .run_until_cancelled(tokio::time::sleep(backoff))
                    .await
                    .is_none()
                {
                    return;
                }
                match self.bring(&[]).await {
                    Ok(()) => {
                        tracing::info!("all changes are in force");
                        break;
                    }
                    Err(error) => {
                        tracing::debug!(error = %error, "changes are still not in force");
                        backoff = (backoff * 2).min(LONGEST_BACKOFF);
                    }
                }
            }
        }
    }

    async fn bring(&self, changes: &[SnapshotChange]) -> Result<(), StorageError> {
        let mut pending = self.pending.lock().await;
        for change in changes {
            if !pending.contains(change) {
                pending.push(*change);
            }
        }
        if pending.is_empty() {
            return Ok(());
        }
        // The maps are persistent, so that a copy shares everything that does not change.
        let mut next = Snapshot::clone(&self.gate.snapshot());
        let environment = self.snapshots.environment.as_ref();
        snapshot::apply(&self.snapshots.store, environment, &mut next, &pending).await?;
        next.revision += 1;
        self.gate.publish_changes(next, &pending);
        self.changed.add(&pending);
        pending.clear();
        Ok(())
    }
}

impl Publisher for SnapshotPublisher {
    fn publish(&self, changes: Vec<SnapshotChange>) -> BoxFuture<'_, Result<(), PublishError>> {
        Box::pin(async move {
            self.bring(&changes).await.map_err(|error| {
                tracing::error!(error = %error, "a change is stored and not in force; it is tried again");
                self.has_pending.notify_one();
                PublishError(error.to_string())
            })
        })
    }
}
