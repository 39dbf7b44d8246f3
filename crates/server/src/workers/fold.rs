//! Brings the journal into the database: counters, request log, open holds and the position, a batch a transaction; and
//! with them the alerts about thresholds that were reached.

mod lookout;
mod watches;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tollgate_domain::accounting::{FoldBatch, JournalPosition};
use tollgate_domain::{Clock, IdSource};
use tollgate_gate::Gate;
use tollgate_ledger::Ledger;
use tollgate_management::BoxFuture;
use tollgate_storage::{Store, Watches};

pub(crate) use self::lookout::ChangedLimits;
use self::lookout::Lookout;
use crate::config::Fold;

/// Pause after the first failure; doubles with each.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);

/// How often the last round is tried when the database does not take it. The next start continues from the journal.
const LAST_ROUND_TRIES: u32 = 3;

/// How long somebody waits for the database to have what the ledger has written.
const CATCH_UP: Duration = Duration::from_secs(2);

/// What others may know of the fold, and ask of it.
#[derive(Debug, Default)]
pub(crate) struct FoldStatus {
    /// 1 after a try that failed, until one succeeds.
    failing: Gauge,
    requests: Counter,
    alerts: Counter,
    /// Ends the pause between two looks at the journal.
    wanted: Notify,
    rounds: watch::Sender<Rounds>,
}

/// A round folds everything that was written before it began.
#[derive(Debug, Clone, Copy, Default)]
struct Rounds {
    begun: u64,
    /// The last one that succeeded.
    done: u64,
}

impl tollgate_management::Fold for FoldStatus {
    fn catch_up(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            let mut rounds = self.rounds.subscribe();
            // The one that runs may have looked already.
            let next = rounds.borrow().begun + 1;
            self.wanted.notify_one();
            let is_done = rounds.wait_for(|rounds| rounds.done >= next);
            // Too late or never: it follows all the same.
            let _ = tokio::time::timeout(CATCH_UP, is_done).await;
        })
    }
}

impl FoldStatus {
    /// Counts from zero, in `registry`.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let status = Self::default();
        let registry = registry.sub_registry_with_prefix("tollgate_fold");
        registry.register(
            "failing",
            "1 while the database does not take the journal, else 0",
            status.failing.clone(),
        );
        registry.register(
            "requests",
            "Rows of the request log that were written from the journal",
            status.requests.clone(),
        );
        registry.register(
            "alerts",
            "Thresholds of limits that were reached and told of",
            status.alerts.clone(),
        );
        status
    }

    /// Whether the last try failed: the database is down, or does not take what it is given.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.get() != 0
    }
}

/// The worker.
pub(crate) struct FoldWorker {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) store: Store,
    /// Knows which limits have thresholds.
    pub(crate) gate: Arc<Gate>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Fold,
    pub(crate) status: Arc<FoldStatus>,
    /// How far the database is.
    pub(crate) position: JournalPosition,
    /// Whose limits may have passed a threshold without being spent on.
    pub(crate) changed: Arc<ChangedLimits>,
}

impl FoldWorker {
    /// Folds until `stop`, then once more everything that is left.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut lookout = Lookout::new(self.changed.clone());
        let mut backoff = FIRST_BACKOFF;
        while !stop.is_cancelled() {
            let pause = match self.round(&mut lookout).await {
                Ok(()) => {
                    self.succeeded();
                    backoff = FIRST_BACKOFF;
                    self.settings.interval.0
                }
                Err(error) => {
                    self.failed(&error);
                    let pause = backoff;
                    backoff = (backoff * 2).min(self.settings.max_backoff.0);
                    pause
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.status.wanted.notified() => {}
                () = stop.cancelled() => {}
            }
        }
        for _ in 0..LAST_ROUND_TRIES {
            match self.fold_all().await {
                Ok(()) => {
                    tracing::info!("everything is in the database");
                    return;
                }
                Err(error) => self.failed(&error),
            }
            tokio::time::sleep(FIRST_BACKOFF).await;
        }
        tracing::warn!(
            "the database did not take the last records; the next start continues from the journal"
        );
    }

    /// Folds, then looks at limits that have changed. In this order: what was folded by older limits is in the counters
    /// by then, and whatever is folded later is judged by newer ones.
    async fn round(&mut self, lookout: &mut Lookout) -> anyhow::Result<()> {
        self.fold_round().await?;
        self.look_at_changed_limits(lookout).await
    }

    async fn look_at_changed_limits(&self, lookout: &mut Lookout) -> anyhow::Result<()> {
        let now = self.clock.now();
        let due = lookout.due(now);
        if due.is_empty() {
            return Ok(());
        }
        let watches = Watches {
            by_meter: watches::of_changed(&self.gate.snapshot(), &due, lookout, now),
            now,
            ids: self.ids.as_ref(),
        };
        match self.store.tell_reached(&watches).await {
            Ok(alerts) => {
                self.status.alerts.inc_by(alerts);
                Ok(())
            }
            Err(error) => {
                lookout.again(due);
                Err(error).context("look for thresholds that changed limits have passed")
            }
        }
    }

    /// Folds what is written now. What comes meanwhile waits for the next round: under load there is always more, and
    /// going after it would make many small transactions.
    async fn fold_round(&mut self) -> anyhow::Result<()> {
        self.status.rounds.send_modify(|rounds| rounds.begun += 1);
        let goal = self.ledger.written_to();
        while self.fold_next().await? && self.position < goal {}
        self.status
            .rounds
            .send_modify(|rounds| rounds.done = rounds.begun);
        Ok(())
    }

    /// Folds until nothing is left.
    async fn fold_all(&mut self) -> anyhow::Result<()> {
        while self.fold_next().await? {}
        Ok(())
    }

    /// Folds one piece; whether there was one.
    async fn fold_next(&mut self) -> anyhow::Result<bool> {
        let Some(batch) = self.read().await? else {
            return Ok(false);
        };
        let requests = u64::try_from(batch.log.len()).unwrap_or(u64::MAX);
        let watches = Watches {
            by_meter: watches::watches(&self.gate.snapshot(), &batch),
            now: self.clock.now(),
            ids: self.ids.as_ref(),
        };
        let alerts = self
            .store
            .fold_watched(&batch, Some(&watches))
            .await
            .context("write a piece of the journal to the database")?;
        self.status.alerts.inc_by(alerts);
        self.position = batch.to;
        self.ledger.folded(batch.to);
        self.status.requests.inc_by(requests);
        Ok(true)
    }

    async fn read(&self) -> anyhow::Result<Option<FoldBatch>> {
        let ledger = self.ledger.clone();
        let (from, limit) = (self.position, self.settings.batch_records);
        // It waits for the disk.
        tokio::task::spawn_blocking(move || ledger.read_batch(from, limit))
            .await
            .context("read the journal")?
            .context("read the journal")
    }

    fn succeeded(&self) {
        if self.status.failing.set(0) != 0 {
            tracing::info!("the database takes the journal again");
        }
    }

    /// Logs a failure once, not at each try.
    fn failed(&self, error: &anyhow::Error) {
        let error = format!("{error:#}");
        if self.status.failing.set(1) != 0 {
            tracing::debug!(error, "the journal is still not in the database");
        } else {
            tracing::error!(
                error,
                "the journal does not get into the database; requests go on, and it is tried again"
            );
        }
    }
}
