//! What runs beside requests. Each worker is a loop that ends when it is told to; a dead one takes the process down.

mod checkpoints;
mod expiry;
mod fold;
mod resets;
mod rotation;
mod sweeper;
mod webhooks;
mod writer_lock;

pub(crate) use checkpoints::checkpoint;
pub(crate) use expiry::ExpiryWorker;
pub(crate) use fold::{ChangedLimits, FoldStatus, FoldWorker};
pub(crate) use resets::reset_usage;
pub(crate) use rotation::{RotationMetrics, RotationWorker};
pub(crate) use sweeper::sweep;
pub(crate) use webhooks::{Sender, WebhookMetrics, WebhookWorker};
pub(crate) use writer_lock::keep_lock;
