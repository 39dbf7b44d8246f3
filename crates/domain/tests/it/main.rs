//! Policy and windows from outside, as the other crates use them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod composition;
mod estimates;
mod levels;
mod names;
mod properties;
mod shadow;
mod simulation;
mod tools;
mod unnamed;
mod windows;
mod world;
