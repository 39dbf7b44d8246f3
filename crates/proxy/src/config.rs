//! Limits of the data plane.

use std::time::Duration;

/// How much the data plane takes on, and how long it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyConfig {
    /// Largest request body, in bytes.
    pub max_request_body: usize,
    /// Largest plain answer of a provider, in bytes. Streams are not collected and have no limit.
    pub max_response_body: usize,
    /// Longest time for a client to send its body.
    pub request_body_timeout: Duration,
    /// Longest duration of a stream, from the first byte on.
    pub max_stream_duration: Duration,
    /// How long a provider is listened to after the client has gone, to learn what it consumed.
    pub drain_timeout: Duration,
    /// Most requests at once, streams included; more are refused as `overloaded`.
    pub max_concurrent_requests: usize,
}

impl Default for ProxyConfig {
    fn default() -> Self {
        Self {
            max_request_body: 32 << 20,
            max_response_body: 64 << 20,
            request_body_timeout: Duration::from_mins(1),
            max_stream_duration: Duration::from_hours(1),
            drain_timeout: Duration::from_secs(30),
            max_concurrent_requests: 10_000,
        }
    }
}
