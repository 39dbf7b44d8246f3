//! Event streams, passed on untouched while they are metered.
//!
//! [`StreamMeter`] takes the answer's bytes as they arrive and says of each piece whether the client gets it now, only
//! after the request was settled, or never. It keeps nothing but the half event at the end of a chunk, and copies
//! nothing else.

mod boundary;
mod event;
mod meter;

pub use meter::{MAX_EVENT_BYTES, Step, StreamEnd, StreamMeter, StreamSummary};
