//! Every public function of the crate, on both engines.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod conformance;
mod conservation;
mod coverage;
mod fixture;
mod upgrades;
