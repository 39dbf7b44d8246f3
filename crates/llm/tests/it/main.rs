//! The wire formats from outside, as the data plane uses them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod adapters;
mod allocations;
mod costs;
mod dialects;
mod envelope;
mod golden;
mod reply;
mod sandbox;
mod splice;
mod streams;
