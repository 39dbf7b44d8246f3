//! The holds of running requests, where one that outlives its request is found.
//!
//! A request's own guard ends its hold. What is here is for the case that there is a mistake: a task that never ends, a
//! guard that was never dropped. Whoever takes the hold out of its [`Slot`] first ends it, so none ends twice.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tollgate_domain::Timestamp;
use tollgate_domain::hash::OwnMap;
use tollgate_domain::ids::RequestId;
use tollgate_ledger::Hold;

/// Requests that start or end at the same time rarely meet at the same lock.
const SHARDS: usize = 16;

/// One running request's hold, until somebody ends it.
#[derive(Debug)]
pub(crate) struct Slot {
    id: RequestId,
    started: Timestamp,
    /// How long the present attempt may take to the first byte of its answer.
    patience: Mutex<Duration>,
    hold: Mutex<Option<Hold>>,
}

impl Slot {
    /// The hold, while nobody has ended it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Option<Hold>> {
        self.hold.lock()
    }

    /// A new attempt may take so long.
    pub(crate) fn set_patience(&self, patience: Duration) {
        *self.patience.lock() = patience;
    }

    fn outlives(&self, rest: Duration, now: Timestamp) -> bool {
        let limit = self.patience.lock().saturating_add(rest);
        let age = u128::try_from(now.micros_since(self.started)).unwrap_or(0);
        age > limit.as_micros()
    }
}

/// Every running request.
#[derive(Debug, Default)]
pub(crate) struct Running {
    shards: [Mutex<OwnMap<RequestId, Arc<Slot>>>; SHARDS],
}

impl Running {
    pub(crate) fn insert(&self, hold: Hold, started: Timestamp, patience: Duration) -> Arc<Slot> {
        let id = hold.request();
        let slot = Arc::new(Slot {
            id,
            started,
            patience: Mutex::new(patience),
            hold: Mutex::new(Some(hold)),
        });
        self.shard(id).lock().insert(id, slot.clone());
        slot
    }

    /// Takes the request out, and its hold, unless somebody has ended that.
    pub(crate) fn remove(&self, slot: &Slot) -> Option<Hold> {
        self.shard(slot.id).lock().remove(&slot.id);
        slot.lock().take()
    }

    /// At most `most` requests that are older than what their attempt may take and `rest` together.
    pub(crate) fn outliving(&self, rest: Duration, now: Timestamp, most: usize) -> Vec<Arc<Slot>> {
        let mut found = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let old = shard.values().filter(|slot| slot.outlives(rest, now));
            found.extend(old.take(most - found.len()).cloned());
        }
        found
    }

    /// When the oldest running request started.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let oldest_of = |shard: &Mutex<OwnMap<_, Arc<Slot>>>| {
            let shard = shard.lock();
            shard.values().map(|slot| slot.started).min()
        };
        self.shards.iter().filter_map(oldest_of).min()
    }

    fn shard(&self, id: RequestId) -> &Mutex<OwnMap<RequestId, Arc<Slot>>> {
        let [.., last] = *id.uuid().as_bytes();
        // There are fewer shards than values of a byte.
        &self.shards[usize::from(last) % SHARDS]
    }
}
