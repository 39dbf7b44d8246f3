//! Waiting for a record to be where the configuration wants it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::error::Unavailable;

/// Resolves when a settlement is where the configuration wants it: written, or on disk when `sync_interval` is zero.
///
/// The end of an answer waits for it. An error means that the settlement could not be kept: the client must not see the
/// answer as complete.
#[derive(Debug, Default)]
pub struct Written(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Done,
    Failed(Unavailable),
    Waiting {
        target: u64,
        synced: Arc<Synced>,
    },
}

/// How far the journal is on disk, counted in bytes since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Synced(Mutex<Progress>);

#[derive(Debug, Default)]
struct Progress {
    bytes: u64,
    failure: Option<Unavailable>,
    waiting: Vec<Waker>,
}

impl Synced {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.lock().bytes
    }

    pub(crate) fn reached(&self, bytes: u64) {
        let mut progress = self.0.lock();
        progress.bytes = progress.bytes.max(bytes);
        wake(progress);
    }

    /// Everything that waits, and will wait, fails: what the disk lost once, no later sync brings back.
    pub(crate) fn fail(&self, failure: Unavailable) {
        let mut progress = self.0.lock();
        progress.failure.get_or_insert(failure);
        wake(progress);
    }
}

fn wake(mut progress: parking_lot::MutexGuard<'_, Progress>) {
    let waiting = std::mem::take(&mut progress.waiting);
    drop(progress);
    for waker in waiting {
        waker.wake();
    }
}

impl Written {
    pub(crate) const fn failed(failure: Unavailable) -> Self {
        Self(State::Failed(failure))
    }

    pub(crate) const fn once_synced(synced: Arc<Synced>, target: u64) -> Self {
        Self(State::Waiting { target, synced })
    }

    /// Whether there is nothing to wait for, so that a caller that is not async may go on.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            State::Done => true,
            State::Failed(_) => false,
            State::Waiting { target, synced } => synced.bytes() >= *target,
        }
    }
}

impl Future for Written {
    type Output = Result<(), Unavailable>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &self.0 {
            State::Done => Poll::Ready(Ok(())),
            State::Failed(failure) => Poll::Ready(Err(failure.clone())),
            State::Waiting { target, synced } => {
                let mut progress = synced.0.lock();
                if progress.bytes >= *target {
                    Poll::Ready(Ok(()))
                } else if let Some(failure) = &progress.failure {
                    Poll::Ready(Err(failure.clone()))
                } else {
                    progress.waiting.push(context.waker().clone());
                    Poll::Pending
                }
            }
        }
    }
}
