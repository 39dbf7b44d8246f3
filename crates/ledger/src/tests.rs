//! Tests of the ledger as a whole, on a disk in memory.

mod admission;
mod books;
mod corrections;
mod crash;
mod faults;
mod fold;
pub(crate) mod kit;
mod model;
mod resets;
mod windows;
