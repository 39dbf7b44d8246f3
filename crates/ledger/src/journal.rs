//! The journal: what the ledger did, on disk before the client sees the end of an answer.

mod written;

pub use written::Written;
