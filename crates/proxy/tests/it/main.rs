//! The data plane against a scripted provider.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure in a helper is a failed test"
)]

mod harness;

mod allocations;
mod client_gone;
mod connections;
mod credentials;
mod errors;
mod headers;
mod plain;
mod refusals;
mod retries;
mod routes;
mod sandbox;
mod shutdown;
mod socket;
mod streams;
mod tls;
