//! The governance path that all traffic shares: authenticate, decide, reserve, settle.
//!
//! Every request passes [`Gate::authenticate`] and [`Gate::admit`], and ends in [`Admission::settle`] or in the drop of
//! its [`Admission`], which settles as well. Each attempt looks at the newest snapshot, so that a revoked key does not
//! outlive its running attempt. `/v1/models` and `explain` go through the same function as the traffic does.
//!
//! Start reading at [`Gate`]. Tested beside the code with real ledgers in temporary directories.
#![warn(missing_docs)]

mod admission;
mod credentials;
mod explain;
mod facts;
mod gate;
mod learned;
mod metrics;
mod models;
mod numbers;
mod publish;
mod running;
mod sweep;
#[cfg(test)]
mod tests;

pub use admission::{Admission, Answer, Settled};
pub use credentials::{Caller, Credentials, MANAGEMENT_KEY_PREFIX, VIRTUAL_KEY_PREFIX};
pub use gate::{Gate, GateParts};
pub use models::ModelListing;
pub use numbers::{Numbers, RateLimit};
