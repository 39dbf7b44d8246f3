//! Logs: text or JSON lines on stderr. What they may hold is in `docs/logging.md`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// The version and commit of this binary.
pub(crate) const VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILD_COMMIT"), ")");

/// The commit of this binary.
pub(crate) const COMMIT: &str = env!("BUILD_COMMIT");

/// Sends everything that is logged from here on to stderr.
pub(crate) fn start(log: &Log) {
    // The filter was checked with the rest of the configuration.
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry
            .with(
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(true)
                    .with_span_list(false),
            )
            .try_init(),
    };
    // Only a second start in one process fails, and then the first one's settings go on.
    let _ = started;
}

/// Logs a panic with its place. A message that was put together at run time may quote a request, so only fixed ones are
/// shown.
pub(crate) fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let message = panic.payload().downcast_ref::<&str>().copied();
        tracing::error!(place, message, "a bug: something panicked");
    }));
}
