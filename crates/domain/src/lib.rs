//! The pure core of Tollgate: vocabulary, policy, windows, prices.
//!
//! Everything here is plain data and plain functions: no socket, no SQL, no async, and no clock or randomness that the
//! caller did not pass in. The other crates depend on this one; it depends on none of them.
//!
//! Start reading at [`access::evaluate`], the one function that decides what a caller may do. What it reads is a
//! [`snapshot::Snapshot`]; what it hands on is a [`access::Plan`] of candidate payers with their [`limits::Meter`]s,
//! which the ledger then admits or refuses. Tested by unit and property tests beside the code.
#![warn(missing_docs)]

pub mod access;
pub mod accounting;
pub mod address;
pub mod catalog;
pub mod clock;
pub mod error;
pub mod events;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod live;
pub mod money;
pub mod permission;
pub mod provider;
pub mod snapshot;
pub mod time;
pub mod usage;

pub use clock::{Clock, IdSource};
pub use error::{ErrorKind, GatewayError};
pub use money::Usd;
pub use time::Timestamp;
pub use usage::TokenUsage;
