//! Test support: scripted upstreams, private databases, fixed clocks. Used by tests only.
//!
//! Start reading at [`provider::MockProvider`], the upstream that answers by script and keeps its own books;
//! [`entities`] builds snapshots that name only what a test is about; [`clock`] owns time and ids.
//!
//! A failure in here is a failed test, so helpers panic instead of returning errors.
#![warn(missing_docs)]
#![expect(
    clippy::expect_used,
    reason = "test support: a failure here is a failed test"
)]

pub mod clock;
pub mod entities;
mod postgres;
pub mod provider;
pub mod test_db;
