//! What the management API needs from the rest of the process, and nothing more.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tollgate_domain::access::Explain;
use tollgate_domain::ids::ManagementKeyId;
use tollgate_domain::live::LiveCounters;
use tollgate_domain::snapshot::{Snapshot, SnapshotChange};
use tollgate_domain::{Clock, IdSource};
use tollgate_storage::Store;

use crate::idempotency::Turns;
use crate::secrets::{EnvironmentNames, SecretSource};

/// A future behind a pointer, so that ports can be trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a committed change is not live yet.
#[derive(Debug, thiserror::Error)]
#[error("the change is stored and not yet in force: {0}")]
pub struct PublishError(pub String);

/// Brings committed changes to the data plane.
pub trait Publisher: Send + Sync {
    /// Returns once the newest state of everything in `changes` is in force for the next request.
    ///
    /// # Errors
    /// When the changed entities could not be loaded. The publisher keeps trying; the change is stored either way.
    fn publish(&self, changes: Vec<SnapshotChange>) -> BoxFuture<'_, Result<(), PublishError>>;
}

/// Brings what the ledger has written into the database.
pub trait Fold: Send + Sync {
    /// Returns once the database shows everything that was written before the call; or when that takes too long, which
    /// changes nothing: what the ledger has written holds, and follows.
    fn catch_up(&self) -> BoxFuture<'_, ()>;
}

/// Reads the policy that is in force, and answers what it would decide.
pub trait Policy: Explain {
    /// The snapshot that the data plane decides by.
    fn snapshot(&self) -> Arc<Snapshot>;
}

/// Everything that the operations use. Cheap to clone.
#[derive(Clone)]
pub struct ManagementState {
    inner: Arc<Inner>,
}

struct Inner {
    parts: ManagementParts,
    /// Of requests with an idempotency key.
    turns: Turns,
    /// Simulations that may run at the same time.
    simulations: Semaphore,
    /// Management keys whose use is being noted.
    noting: Mutex<HashSet<ManagementKeyId>>,
    /// Held by whoever sets usage back to zero.
    resetting: tokio::sync::Mutex<()>,
}

/// What [`ManagementState`] is made from.
pub struct ManagementParts {
    /// The database.
    pub store: Store,
    /// The counters that enforcement uses.
    pub live: Arc<dyn LiveCounters>,
    /// Brings the ledger's corrections into the database.
    pub fold: Arc<dyn Fold>,
    /// Brings changes to the data plane.
    pub publisher: Arc<dyn Publisher>,
    /// The policy in force.
    pub policy: Arc<dyn Policy>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// New ids.
    pub ids: Arc<dyn IdSource>,
    /// New secrets.
    pub secrets: Arc<dyn SecretSource>,
    /// Which environment variables a provider's key may name.
    pub environment_names: EnvironmentNames,
    /// Where commits run, so that a caller who goes away cannot stop one between storing and publishing.
    pub tasks: TaskTracker,
}

impl ManagementState {
    /// The state made of these parts.
    pub fn new(parts: ManagementParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                turns: Turns::default(),
                simulations: Semaphore::new(1),
                noting: Mutex::default(),
                resetting: tokio::sync::Mutex::default(),
            }),
        }
    }

    pub(crate) fn parts(&self) -> &ManagementParts {
        &self.inner.parts
    }

    pub(crate) fn simulations(&self) -> &Semaphore {
        &self.inner.simulations
    }

    /// Whether the caller is the one to note the use of this key now.
    pub(crate) fn start_noting(&self, id: ManagementKeyId) -> bool {
        self.inner.noting.lock().insert(id)
    }

    pub(crate) fn end_noting(&self, id: ManagementKeyId) {
        self.inner.noting.lock().remove(&id);
    }

    pub(crate) async fn resetting(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.resetting.lock().await
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.inner.turns
    }

    pub(crate) fn ids(&self) -> &dyn IdSource {
        self.inner.parts.ids.as_ref()
    }
}

impl std::fmt::Debug for ManagementState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagementState").finish_non_exhaustive()
    }
}
