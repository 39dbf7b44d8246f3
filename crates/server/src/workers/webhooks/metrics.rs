//! What telling webhooks measures.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tollgate_storage::webhooks::deliveries::Next;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    result: &'static str,
}

/// The metrics. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub(crate) struct WebhookMetrics {
    attempts: Family<Labels, Counter>,
}

impl WebhookMetrics {
    /// Counts from zero, in `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("tollgate_webhook");
        registry.register(
            "attempts",
            "Attempts to tell a webhook of an event, by result: `delivered`, `failed` (it is tried again) or `dead` (it is given up)",
            metrics.attempts.clone(),
        );
        metrics
    }

    pub(super) fn attempted(&self, next: Next) {
        let result = match next {
            Next::Delivered => "delivered",
            Next::RetryAt(_) => "failed",
            Next::Dead => "dead",
        };
        self.attempts.get_or_create(&Labels { result }).inc();
    }
}
