//! What the data plane measures. Labels are small closed sets: never a key, a caller's model or a host.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use tollgate_domain::access::Endpoint;

/// The outcome of a request without an error.
pub(crate) const OK: &str = "ok";

/// How a request ended, for the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    /// `ok`, or the code of the error.
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    /// `plain` or `stream`.
    shape: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    result: AttemptResult,
}

impl RouteLabels {
    const fn new(endpoint: Endpoint, is_stream: bool) -> Self {
        Self {
            route: endpoint.as_str(),
            shape: if is_stream { "stream" } else { "plain" },
        }
    }
}

/// How one attempt at a provider went, up to the head of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AttemptResult {
    /// An answer with a success status.
    Answered,
    /// An answer with an error status.
    ErrorStatus,
    /// No connection.
    NotConnected,
    /// No answer in time.
    TimedOut,
    /// The connection broke, or what came was no HTTP.
    Broken,
}

impl AttemptResult {
    const COUNT: usize = Self::Broken as usize + 1;
}

impl prometheus_client::encoding::EncodeLabelValue for AttemptResult {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelValueEncoder<'_>,
    ) -> Result<(), std::fmt::Error> {
        use std::fmt::Write as _;
        encoder.write_str(match self {
            Self::Answered => "answered",
            Self::ErrorStatus => "error_status",
            Self::NotConnected => "not_connected",
            Self::TimedOut => "timed_out",
            Self::Broken => "broken",
        })
    }
}

/// What the families have of one endpoint, each made when it first measures something. Every request counts here, and a
/// family hashes its labels behind a lock.
#[derive(Debug, Default)]
struct OfEndpoint {
    ok: OnceLock<Counter>,
    /// Plain and stream.
    time_to_first_byte: [OnceLock<Histogram>; 2],
    duration: [OnceLock<Histogram>; 2],
}

/// The data plane's metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    by_endpoint: [OfEndpoint; Endpoint::ALL.len()],
    by_result: [OnceLock<Counter>; AttemptResult::COUNT],
    requests: Family<RequestLabels, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    stale_connections: Counter,
    client_gone: Counter,
    /// Also what the limit on running requests counts by.
    pub(crate) in_flight: Gauge,
    time_to_first_byte: Family<RouteLabels, Histogram, fn() -> Histogram>,
    duration: Family<RouteLabels, Histogram, fn() -> Histogram>,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.005, 2.0, 17))
}

impl Metrics {
    /// Registers everything under `tollgate_proxy_`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            by_endpoint: Default::default(),
            by_result: Default::default(),
            requests: Family::default(),
            attempts: Family::default(),
            stale_connections: Counter::default(),
            client_gone: Counter::default(),
            in_flight: Gauge::default(),
            time_to_first_byte: Family::new_with_constructor(seconds),
            duration: Family::new_with_constructor(seconds),
        };
        let registry = registry.sub_registry_with_prefix("tollgate_proxy");
        registry.register(
            "requests",
            "Requests on the data plane, by route and outcome",
            metrics.requests.clone(),
        );
        registry.register(
            "upstream_attempts",
            "Attempts at providers, by how they went up to the head of the answer",
            metrics.attempts.clone(),
        );
        registry.register(
            "upstream_stale_connections",
            "Idle connections that the provider had closed when they were used again",
            metrics.stale_connections.clone(),
        );
        registry.register(
            "client_disconnects",
            "Clients that left before the end of their answer",
            metrics.client_gone.clone(),
        );
        registry.register(
            "in_flight_requests",
            "Requests that are running now, streams included",
            metrics.in_flight.clone(),
        );
        registry.register_with_unit(
            "time_to_first_byte",
            "From the arrival of a request to the first byte of the provider's answer",
            Unit::Seconds,
            metrics.time_to_first_byte.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "From the arrival of a request to the end of its answer",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        metrics
    }

    /// A request that ended. Most end as [`Self::succeeded`] counts.
    pub(crate) fn request(&self, route: &'static str, outcome: &'static str) {
        self.requests
            .get_or_create(&RequestLabels { route, outcome })
            .inc();
    }

    /// An admitted request that ended well.
    pub(crate) fn succeeded(&self, endpoint: Endpoint) {
        let labels = RequestLabels {
            route: endpoint.as_str(),
            outcome: OK,
        };
        self.by_endpoint[endpoint as usize]
            .ok
            .get_or_init(|| self.requests.get_or_create_owned(&labels))
            .inc();
    }

    pub(crate) fn attempt(&self, result: AttemptResult) {
        self.by_result[result as usize]
            .get_or_init(|| self.attempts.get_or_create_owned(&AttemptLabels { result }))
            .inc();
    }

    pub(crate) fn stale_connection(&self) {
        self.stale_connections.inc();
    }

    pub(crate) fn client_gone(&self) {
        self.client_gone.inc();
    }

    pub(crate) fn first_byte(&self, endpoint: Endpoint, is_stream: bool, after: Duration) {
        let labels = RouteLabels::new(endpoint, is_stream);
        self.by_endpoint[endpoint as usize].time_to_first_byte[usize::from(is_stream)]
            .get_or_init(|| self.time_to_first_byte.get_or_create_owned(&labels))
            .observe(after.as_secs_f64());
    }

    /// An admitted request that ended, however it did.
    pub(crate) fn finished(&self, endpoint: Endpoint, is_stream: bool, after: Duration) {
        let labels = RouteLabels::new(endpoint, is_stream);
        self.by_endpoint[endpoint as usize].duration[usize::from(is_stream)]
            .get_or_init(|| self.duration.get_or_create_owned(&labels))
            .observe(after.as_secs_f64());
    }
}
