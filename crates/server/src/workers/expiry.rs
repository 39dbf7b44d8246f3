//! Tells of copies of access profiles whose time is over: an audit entry for each, once, and with it an event.
//!
//! A copy grants nothing from that instant on, because every decision looks at the time. This only says so, also of
//! copies that ended while the process was down.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_domain::ids::{AuditEntryId, CopyId};
use tollgate_domain::{Clock, IdSource, Timestamp};
use tollgate_storage::audit::{self, NewAuditEntry};
use tollgate_storage::copies::{self, StoredCopy, expiry};
use tollgate_storage::{StorageError, Store};

/// Pause between two looks at what has ended.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Copies that are told of in one transaction, so that other writes get their turn in between.
const AT_ONCE: u32 = 100;
/// As the audit trail names it.
const ACTOR: &str = "tollgate (expiry)";

/// The worker.
pub(crate) struct ExpiryWorker {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

impl ExpiryWorker {
    /// Tells until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut is_failing = false;
        loop {
            match self.round().await {
                Ok(()) => is_failing = false,
                Err(error) if is_failing => tracing::debug!(%error, "still nothing is told"),
                Err(error) => {
                    is_failing = true;
                    tracing::error!(%error, "copies that ended cannot be told of; it is tried again");
                }
            }
            let pause = tokio::time::sleep(LOOK_EVERY);
            if stop.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    }

    /// Tells of everything that has ended.
    async fn round(&self) -> Result<(), StorageError> {
        loop {
            let now = self.clock.now();
            let ended = expiry::due(&self.store, now, AT_ONCE).await?;
            if ended.is_empty() {
                return Ok(());
            }
            self.tell(&ended, now).await?;
        }
    }

    async fn tell(&self, ended: &[CopyId], now: Timestamp) -> Result<(), StorageError> {
        let mut tx = self.store.begin().await?;
        for id in ended {
            if !expiry::note(&mut tx, *id, now).await? {
                continue;
            }
            // What was taken away before it ended has ended for its holder already.
            let copy = copies::find(&mut tx, *id).await?;
            if let Some(held) = copy.filter(|copy| copy.detached_at.is_none()) {
                audit::append(&mut tx, self.entry(&held, now)).await?;
            }
        }
        let _nothing_of_the_policy = tx.commit().await?;
        Ok(())
    }

    fn entry(&self, stored: &StoredCopy, at: Timestamp) -> NewAuditEntry {
        let copy = &stored.copy;
        let facts = serde_json::json!({
            "copy_id": copy.id.to_string(),
            "expired_at": copy.expires_at,
            "profile_version": copy.profile_version,
        });
        NewAuditEntry {
            id: AuditEntryId::from_uuid(self.ids.next_uuid()),
            at,
            actor: ACTOR.to_owned(),
            action: "expire",
            target_kind: "access_profile",
            target_id: copy.parent_profile_id.to_string(),
            profile: Some(copy.parent_profile_id),
            user: Some(copy.user_id),
            previous_values: None,
            new_values: None,
            metadata: Some(facts.to_string()),
        }
    }
}
