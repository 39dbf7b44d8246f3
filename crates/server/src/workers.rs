//! What runs beside requests. Each worker is a loop that ends when it is told to; a dead one takes the process down.

mod fold;
mod sweeper;
mod writer_lock;

pub(crate) use fold::{FoldStatus, FoldWorker};
pub(crate) use sweeper::sweep;
pub(crate) use writer_lock::keep_lock;
