//! What every request of the data plane uses.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tollgate_domain::{ErrorKind, GatewayError};
use tollgate_gate::Gate;

use crate::config::ProxyConfig;
use crate::metrics::Metrics;
use crate::upstream::UpstreamClient;

/// How the data plane learns that the process goes down, and what shutdown waits for.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled first: new requests are refused, running ones go on.
    pub soft: CancellationToken,
    /// Cancelled at the end of the grace time: running requests are cut off and settled.
    pub hard: CancellationToken,
    /// Work that outlives its request, such as listening to a provider whose client has gone.
    pub tracker: TaskTracker,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) gate: Arc<Gate>,
    pub(crate) upstream: UpstreamClient,
    pub(crate) config: ProxyConfig,
    pub(crate) shutdown: Shutdown,
    pub(crate) metrics: Metrics,
}

impl Shared {
    pub(crate) const fn new(
        gate: Arc<Gate>,
        upstream: UpstreamClient,
        config: ProxyConfig,
        shutdown: Shutdown,
        metrics: Metrics,
    ) -> Self {
        Self {
            gate,
            upstream,
            config,
            shutdown,
            metrics,
        }
    }

    /// Takes a place among the running requests.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Slot, GatewayError> {
        if self.shutdown.soft.is_cancelled() {
            return Err(GatewayError::new(
                ErrorKind::ShuttingDown,
                "this instance is shutting down; send the request again",
            )
            .with_retry_after(1));
        }
        let before = self.metrics.in_flight.inc();
        // Counted already, so that the place is given back in either case.
        let slot = Slot(self.clone());
        if usize::try_from(before).is_ok_and(|before| before >= self.config.max_concurrent_requests)
        {
            return Err(GatewayError::new(
                ErrorKind::Overloaded,
                "too many requests are running at once; try again in a moment",
            )
            .with_retry_after(1));
        }
        Ok(slot)
    }
}

/// A place among the running requests, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Shared>);

impl Slot {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.metrics.in_flight.dec();
    }
}
