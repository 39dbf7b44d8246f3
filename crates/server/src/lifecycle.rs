//! Start and stop: signals, the tokens that spread the news, and the trackers that everything runs on.
//!
//! First SIGTERM or SIGINT: not ready any more, stop accepting, let running requests finish for the grace period.
//! Second signal, or the end of the grace period: drop what still runs; its holds are settled as in doubt. Then the
//! workers do their last round (the final fold) and end. SIGHUP reads the certificates again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long dropped requests and the last round of the workers may take. Nothing in either waits for a client.
const LAST_ROUND: Duration = Duration::from_secs(20);

/// The signals that the process answers to. Caught before anything else starts, so that one that comes early is not lost
/// and does not kill a process that has already begun to write.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// # Errors
    /// When the system does not let us.
    pub(crate) fn catch() -> anyhow::Result<Self> {
        let catch = |kind| signal(kind).context("catch signals");
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }
}

/// Owns the order in which the process comes up and goes down.
#[derive(Clone)]
pub(crate) struct Lifecycle {
    /// Stop accepting; finish what runs.
    pub(crate) soft: CancellationToken,
    /// Drop what runs.
    pub(crate) hard: CancellationToken,
    /// Nothing is served any more: workers finish.
    pub(crate) workers_stop: CancellationToken,
    /// Accept loops, connections, and what requests leave running behind them.
    pub(crate) connections: TaskTracker,
    workers: TaskTracker,
    is_serving: Arc<AtomicBool>,
    has_failed: Arc<AtomicBool>,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self {
            soft: CancellationToken::new(),
            hard: CancellationToken::new(),
            workers_stop: CancellationToken::new(),
            connections: TaskTracker::new(),
            workers: TaskTracker::new(),
            is_serving: Arc::new(AtomicBool::new(false)),
            has_failed: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Between the end of start-up and the first signal to stop.
    pub(crate) fn is_serving(&self) -> bool {
        self.is_serving.load(Ordering::Acquire)
    }

    pub(crate) fn start_serving(&self) {
        self.is_serving.store(true, Ordering::Release);
    }

    /// Runs a worker until [`Self::workers_stop`]. One that ends before, or panics, takes the process down: a
    /// supervisor that restarts it is better than a process that silently no longer keeps its accounts.
    pub(crate) fn spawn_worker(
        &self,
        name: &'static str,
        worker: impl Future<Output = ()> + Send + 'static,
    ) {
        let guard = WorkerGuard {
            name,
            lifecycle: self.clone(),
        };
        self.workers.spawn(async move {
            let _guard = guard;
            worker.await;
        });
    }

    fn fail(&self) {
        self.has_failed.store(true, Ordering::Release);
        self.soft.cancel();
    }

    /// Waits for a reason to stop, calling `reload` at each SIGHUP, then goes through the phases of stopping.
    ///
    /// # Errors
    /// When a worker died.
    pub(crate) async fn run(
        &self,
        signals: Signals,
        grace: Duration,
        reload: impl Fn(),
    ) -> anyhow::Result<()> {
        let Signals {
            mut terminate,
            mut interrupt,
            mut hangup,
        } = signals;
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                () = self.soft.cancelled() => break,
                _ = hangup.recv() => reload(),
            }
        }
        tracing::info!(
            grace.seconds = grace.as_secs(),
            requests.connections = self.connections.len(),
            "stopping: no new requests, running ones may finish"
        );
        self.is_serving.store(false, Ordering::Release);
        self.soft.cancel();
        self.connections.close();
        let second_signal = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        tokio::select! {
            () = self.connections.wait() => {}
            () = second_signal => tracing::warn!("second signal: dropping what still runs"),
            () = tokio::time::sleep(grace) => {
                tracing::warn!("the grace period is over: dropping what still runs");
            }
        }
        self.hard.cancel();
        if tokio::time::timeout(LAST_ROUND, self.connections.wait())
            .await
            .is_err()
        {
            tracing::error!("requests did not end although they were dropped");
        }
        self.workers_stop.cancel();
        self.workers.close();
        if tokio::time::timeout(LAST_ROUND, self.workers.wait())
            .await
            .is_err()
        {
            tracing::error!(
                "workers did not end in time; the next start continues from the journal"
            );
        }
        if self.has_failed.load(Ordering::Acquire) {
            anyhow::bail!("a worker ended before it was told to; the log says which");
        }
        Ok(())
    }
}

struct WorkerGuard {
    name: &'static str,
    lifecycle: Lifecycle,
}

impl Drop for WorkerGuard {
    fn drop(&mut self) {
        if !self.lifecycle.workers_stop.is_cancelled() {
            tracing::error!(worker = self.name, "worker ended before it was told to");
            self.lifecycle.fail();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_worker_that_ends_early_stops_the_process_with_an_error() {
        let lifecycle = Lifecycle::new();
        lifecycle.start_serving();
        lifecycle.spawn_worker("short-lived", async {});
        let error = lifecycle
            .run(Signals::catch().unwrap(), Duration::from_secs(1), || {})
            .await
            .unwrap_err();
        assert!(error.to_string().contains("a worker ended"), "{error}");
        assert!(!lifecycle.is_serving());
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlives_the_grace_period_is_dropped_and_workers_end_last() {
        let lifecycle = Lifecycle::new();
        let (order, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let hard = lifecycle.hard.clone();
        let request = order.clone();
        lifecycle.connections.spawn(async move {
            hard.cancelled().await;
            request.send("request dropped").unwrap();
        });
        let stop = lifecycle.workers_stop.clone();
        lifecycle.spawn_worker("fold", async move {
            stop.cancelled().await;
            order.send("last fold").unwrap();
        });
        lifecycle.soft.cancel();
        let signals = Signals::catch().unwrap();
        lifecycle
            .run(signals, Duration::from_secs(30), || {})
            .await
            .unwrap();
        assert_eq!(seen.recv().await, Some("request dropped"));
        assert_eq!(seen.recv().await, Some("last fold"));
    }
}
