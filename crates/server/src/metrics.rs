//! The registry that every crate puts its metrics into.

use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use crate::telemetry::COMMIT;

/// A registry with the facts of this binary.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    let facts = [("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)];
    registry.register(
        "tollgate_build",
        "What is running",
        Info::new(facts.to_vec()),
    );
    registry
}
