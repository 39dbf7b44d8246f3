//! What rotation measures.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The metrics. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RotationMetrics {
    keys: Counter,
    lost: Counter,
    /// 1 after a round that failed, until one succeeds.
    failing: Gauge,
}

impl RotationMetrics {
    /// Counts from zero, in `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("tollgate_rotation");
        registry.register(
            "keys",
            "Virtual keys that were rotated by schedule",
            metrics.keys.clone(),
        );
        registry.register(
            "secrets_lost",
            "New secrets that nobody collected in time",
            metrics.lost.clone(),
        );
        registry.register(
            "failing",
            "1 while keys that are due cannot be rotated, else 0",
            metrics.failing.clone(),
        );
        metrics
    }

    pub(super) fn rotated(&self, keys: u64) {
        self.keys.inc_by(keys);
    }

    pub(super) fn lost(&self) {
        self.lost.inc();
    }

    pub(super) fn succeeded(&self) {
        if self.failing.set(0) != 0 {
            tracing::info!("keys are rotated again");
        }
    }

    /// Logs a failure once, not at each try.
    pub(super) fn failed(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        if self.failing.set(1) != 0 {
            tracing::debug!(error, "keys are still not rotated");
        } else {
            tracing::error!(
                error,
                "keys that are due cannot be rotated; it is tried again"
            );
        }
    }
}
