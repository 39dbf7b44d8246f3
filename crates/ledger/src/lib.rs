//! Exact accounting: meters, holds, settlement, and the journal that survives a crash.
//!
//! A request *reserves* what it may consume on every meter it touches, or on none; is dispatched; and *settles* what it
//! did consume, exactly once, before the client sees the end of its answer. Each step is one record in the journal, one
//! `write` each. A worker folds the journal into the database in batches; nothing here waits for a database.
//!
//! Start reading at [`Ledger`]; then `meters` (the counters, in memory) and `journal` (the same, on disk). The format
//! of the journal is described in `docs/journal.md`. Tested by unit and property tests beside the code: against a
//! naive model, with a file system that fails on purpose, and cut at every byte.
#![warn(missing_docs)]

mod books;
mod config;
mod error;
mod fs;
mod hold;
mod journal;
mod ledger;
mod meters;
#[cfg(test)]
mod tests;

pub use config::LedgerConfig;
pub use error::{OpenError, ReadError, ReserveError, Unavailable};
pub use hold::{Hold, Settlement};
pub use journal::{Damage, JournalReport, RepairReport, SegmentReport, Written, repair, verify};
pub use ledger::{Ledger, LedgerStats, MeterState};
pub use meters::{Counts, MetersAlone, Verdict};
