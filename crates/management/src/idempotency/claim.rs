//! The right to be the one request with a key that runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderName, HeaderValue, StatusCode};
use tollgate_domain::live::Once;
use tollgate_storage::idempotency::{self, RecordedAnswer};
use tollgate_storage::{Constraint, Tx};

use super::KEPT_FOR;
use super::mask::mask_secrets;
use super::turns::Turn;
use crate::problem::{Answer, Problem};
use crate::state::ManagementState;

/// Held by the request, and by its commit when the caller has gone away: the next request with the key runs when the
/// last of them is gone.
#[derive(Clone)]
pub(crate) struct Claim {
    inner: Arc<Inner>,
}

struct Inner {
    turn: Turn,
    fingerprint: [u8; 32],
    is_recorded: AtomicBool,
}

impl Claim {
    pub(super) fn new(turn: Turn, fingerprint: [u8; 32]) -> Self {
        Self {
            inner: Arc::new(Inner {
                turn,
                fingerprint,
                is_recorded: AtomicBool::new(false),
            }),
        }
    }

    /// Whether the answer is part of a transaction already.
    pub(super) fn is_recorded(&self) -> bool {
        self.inner.is_recorded.load(Ordering::Acquire)
    }

    /// How a repetition of what the request asks for is known where no transaction remembers it.
    pub(crate) fn once(&self) -> Once {
        let (_, key) = self.inner.turn.name();
        Once {
            key: key.to_owned(),
            fingerprint: self.inner.fingerprint,
        }
    }

    /// Writes the answer down in the transaction of what it tells of, and forgets those that are too old to be repeated.
    ///
    /// # Errors
    /// 409 when a request with the same key was faster; only another process can have sent it past the turns.
    pub(crate) async fn record<'a>(
        &self,
        state: &ManagementState,
        tx: &mut Tx,
        status: StatusCode,
        headers: impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)>,
        body: &str,
    ) -> Answer<()> {
        let inner = &self.inner;
        let now = state.parts().clock.now();
        let answer = RecordedAnswer {
            fingerprint: inner.fingerprint,
            status: status.as_u16(),
            headers: headers
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .collect(),
            body: mask_secrets(body),
            created_at: now,
        };
        idempotency::forget(tx, now.saturating_add_micros(-KEPT_FOR)).await?;
        let (actor, key) = inner.turn.name();
        match idempotency::record(tx, actor, key, &answer).await {
            Err(error) if error.conflicts_with(Constraint::IdempotencyKey) => {
                return Err(Problem::conflict(
                    "idempotency_key_in_use",
                    "another request with this `Idempotency-Key` was faster; repeat it to get that one's answer",
                ));
            }
            recorded => recorded?,
        }
        inner.is_recorded.store(true, Ordering::Release);
        Ok(())
    }
}
