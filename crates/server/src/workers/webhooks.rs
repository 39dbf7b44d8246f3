//! Tells webhooks what is in their outbox: at least once, in order as long as the receiver takes it, and not for ever.

mod metrics;
mod schedule;
mod sender;
mod signature;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio_util::sync::CancellationToken;
use tollgate_domain::ids::WebhookId;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_domain::{Clock, IdSource, Timestamp};
use tollgate_storage::Store;
use tollgate_storage::webhooks::deliveries::{self, Attempt, Delivery, Next};
use tollgate_storage::webhooks::{self, StoredWebhook};

pub(crate) use self::metrics::WebhookMetrics;
use self::schedule::pause;
pub(crate) use self::sender::Sender;
use crate::config::Webhooks;

/// Pause between two looks at the outbox when nothing is new: what is to be tried again is due by time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Webhooks that are told at the same time.
const AT_ONCE: usize = 8;
/// Microseconds between two looks for deliveries that are older than they are kept.
const TIDY_EVERY: i64 = 3_600 * MICROS_PER_SECOND;
/// Deliveries to one webhook before the next one has its turn.
const IN_A_ROW: u32 = 16;

/// The worker.
pub(crate) struct WebhookWorker {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where the jitter of pauses comes from.
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Webhooks,
    pub(crate) sender: Sender,
    pub(crate) metrics: WebhookMetrics,
}

impl WebhookWorker {
    /// Delivers until `stop`, and to the end what is under way then: an attempt that is not noted would be made again
    /// after the next start.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut running = FuturesUnordered::new();
        let mut busy = Vec::new();
        let mut tidied_at = None;
        loop {
            let (due, told) = beside(&mut running, self.look(&busy, &mut tidied_at)).await;
            busy.retain(|each| !told.contains(each));
            busy.extend(&due);
            running.extend(due.into_iter().map(|id| self.tell(id, &stop)));
            tokio::select! {
                Some(id) = running.next() => busy.retain(|each| *each != id),
                () = self.store.news().notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => break,
            }
        }
        while running.next().await.is_some() {}
    }

    /// Who is told next. Tidies up when it is time.
    async fn look(&self, busy: &[WebhookId], tidied_at: &mut Option<Timestamp>) -> Vec<WebhookId> {
        if let Err(error) = self.tidy(tidied_at).await {
            tracing::debug!(error = %format!("{error:#}"), "old deliveries are still kept");
        }
        self.next_turns(busy).await.unwrap_or_else(|error| {
            tracing::debug!(error = %format!("{error:#}"), "the outbox of webhooks cannot be read");
            Vec::new()
        })
    }

    /// Forgets old deliveries, now and then.
    async fn tidy(&self, tidied_at: &mut Option<Timestamp>) -> anyhow::Result<()> {
        let now = self.clock.now();
        if tidied_at.is_some_and(|at| now.micros_since(at) < TIDY_EVERY) {
            return Ok(());
        }
        let kept = i64::try_from(self.settings.retention.0.as_micros()).unwrap_or(i64::MAX);
        let mut tx = self.store.begin().await?;
        deliveries::forget(&mut tx, now.saturating_add_micros(-kept)).await?;
        let _nothing_of_the_policy = tx.commit().await?;
        *tidied_at = Some(now);
        Ok(())
    }

    /// Who is told next, besides those who are being told.
    async fn next_turns(&self, busy: &[WebhookId]) -> anyhow::Result<Vec<WebhookId>> {
        let free = u32::try_from(AT_ONCE.saturating_sub(busy.len())).unwrap_or(0);
        if free == 0 {
            return Ok(Vec::new());
        }
        let due = deliveries::due(&self.store, self.clock.now(), busy, free).await;
        due.context("read the outbox")
    }

    /// Tells one webhook what is due, until it fails or `stop`.
    async fn tell(&self, id: WebhookId, stop: &CancellationToken) -> WebhookId {
        for _ in 0..IN_A_ROW {
            if stop.is_cancelled() {
                break;
            }
            match self.tell_next(id).await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(webhook = %id, error = %format!("{error:#}"), "a webhook is not told now");
                    // Or it would be told the same again and again, as fast as it answers.
                    tokio::time::sleep(LOOK_EVERY).await;
                    break;
                }
            }
        }
        id
    }

    /// One attempt. Says whether the next one may follow at once.
    async fn tell_next(&self, id: WebhookId) -> anyhow::Result<bool> {
        let Some(webhook) = webhooks::find(&self.store, id).await? else {
            return Ok(false);
        };
        let now = self.clock.now();
        let Some(delivery) = deliveries::next(&self.store, id, now).await? else {
            return Ok(false);
        };
        let attempt = self.attempt(&webhook, &delivery, now).await;
        let failed = attempt.next != Next::Delivered;
        let mut tx = self.store.begin().await?;
        deliveries::record(&mut tx, &attempt).await?;
        if failed {
            let first = pause(1, &self.settings, self.ids.next_uuid());
            deliveries::rest(&mut tx, id, attempt.at.saturating_add_micros(first)).await?;
        }
        let _nothing_of_the_policy = tx.commit().await?;
        self.metrics.attempted(attempt.next);
        if attempt.next == Next::Dead {
            tracing::warn!(
                webhook = %id,
                event = %delivery.event_id,
                attempts = delivery.attempts + 1,
                reason = attempt.error.as_deref().unwrap_or_default(),
                "an event was not taken by its webhook and is given up"
            );
        }
        Ok(!failed)
    }

    async fn attempt(
        &self,
        webhook: &StoredWebhook,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Attempt {
        let sent = self.sender.send(webhook, delivery, now).await;
        let at = self.clock.now();
        let (status, error) = match sent {
            Ok(status) if status.is_success() => (Some(status.as_u16()), None),
            Ok(status) => (
                Some(status.as_u16()),
                Some(format!("the answer was {}", status.as_u16())),
            ),
            Err(error) => (None, Some(error.to_string())),
        };
        let attempts = delivery.attempts.saturating_add(1);
        let next = if error.is_none() {
            Next::Delivered
        } else if attempts >= self.settings.max_attempts {
            Next::Dead
        } else {
            let pause = pause(attempts, &self.settings, self.ids.next_uuid());
            Next::RetryAt(at.saturating_add_micros(pause))
        };
        Attempt {
            webhook: webhook.id,
            event_id: delivery.event_id,
            at,
            status,
            error,
            next,
        }
    }
}

/// Waits for `look`, and for what is under way meanwhile; returns what ended. Those that are under way hold connections
/// to the database: were they not driven while `look` waits for one, it could wait for ever.
async fn beside<F: Future, T>(
    running: &mut FuturesUnordered<F>,
    look: impl Future<Output = T>,
) -> (T, Vec<F::Output>) {
    let mut look = pin!(look);
    let mut ended = Vec::new();
    loop {
        tokio::select! {
            found = &mut look => return (found, ended),
            Some(output) = running.next() => ended.push(output),
        }
    }
}

#[cfg(test)]
mod tests;
