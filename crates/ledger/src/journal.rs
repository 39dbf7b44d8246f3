//! The journal: what the ledger did, on disk before the client sees the end of an answer.
//!
//! [`record`] has the records and their bytes, [`segment`] the files they are in, [`writer`] appends, [`mod@recover`] reads
//! after a start. `docs/journal.md` describes the format.

mod check;
mod codec;
mod record;
mod recover;
mod segment;
mod writer;
mod written;

pub use check::{Damage, JournalReport, RepairReport, SegmentReport, repair, verify};
pub use written::Written;

#[cfg(test)]
pub(crate) use check::{repair_on, verify_on};
pub(crate) use record::{Noted, Record, room_for};
pub(crate) use recover::{Setup, recover};
pub(crate) use segment::{HEADER_BYTES, Next, next, number, path};
pub(crate) use writer::{ExchangeRoom, Journal};
