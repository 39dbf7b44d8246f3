//! What webhooks are told: an outbox. A delivery is written in the transaction of the audit entry that it tells of, and
//! stays until it is delivered or given up, and some time longer to be looked at.

mod payload;

use std::str::FromStr;

use tollgate_domain::Timestamp;
use tollgate_domain::events::EventKind;
use tollgate_domain::ids::{AuditEntryId, WebhookId};

use self::payload::payload;
use crate::audit::AuditEntry;
use crate::error::Result;
use crate::page::{Counted, Page, PageRequest};
use crate::search;
use crate::sql::{Query, Row, corrupt, query};
use crate::tx::{Db, Tx};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is still to be delivered, for the first time or again.
    Pending,
    /// The receiver took it.
    Delivered,
    /// It was given up: a dead letter.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// As the API and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for DeliveryState {
    type Err = &'static str;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or("none of `pending`, `delivered`, `dead`")
    }
}

/// One event for one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// For whom.
    pub webhook: WebhookId,
    /// The event, which is the audit entry that it tells of.
    pub event_id: AuditEntryId,
    /// What kind of event.
    pub event: EventKind,
    /// The body that is sent, the same in every attempt.
    pub payload: String,
    /// What became of it.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is tried next; set exactly while it is pending.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt_at: Option<Timestamp>,
    /// The status of the last answer, when there was one.
    pub last_status: Option<u16>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When the event happened.
    pub created_at: Timestamp,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it was delivered.
    Delivered,
    /// Another attempt.
    RetryAt(Timestamp),
    /// Nothing: it is given up.
    Dead,
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// To whom.
    pub webhook: WebhookId,
    /// What.
    pub event_id: AuditEntryId,
    /// When it ended.
    pub at: Timestamp,
    /// The status of the answer, when there was one.
    pub status: Option<u16>,
    /// Why it failed; nothing that the receiver wrote.
    pub error: Option<String>,
    /// What follows from it.
    pub next: Next,
}

const SELECT: &str = "select webhook_id, event_id, event, payload, state, attempts, next_attempt_at, last_attempt_at, \
                      last_status, last_error, created_at from webhook_deliveries where true";

const LIST: Counted = Counted {
    table: "webhook_deliveries",
    select: SELECT,
    order: "created_at desc, event_id desc",
};

/// Puts the event that `entry` is, if it is one, into the outbox of every webhook that is told of such.
pub(crate) async fn enqueue(tx: &mut Tx, entry: &AuditEntry) -> Result<()> {
    let Some(event) = EventKind::of(&entry.action, &entry.target_kind) else {
        return Ok(());
    };
    let told = super::told_of(tx, event).await?;
    if told.is_empty() {
        return Ok(());
    }
    let payload = payload(event, entry)?;
    for webhook in told {
        tx.execute(
            query(
                "insert into webhook_deliveries (webhook_id, event_id, event, payload, state, attempts,
                     next_attempt_at, created_at)
                 values ($1, $2, $3, $4, 'pending', 0, $5, $5)",
            )
            .bind_text(webhook)
            .bind_text(entry.id)
            .bind(event.as_str())
            .bind(payload.as_str())
            .bind(entry.at),
        )
        .await?;
    }
    tx.has_news();
    Ok(())
}

/// The deliveries of a webhook, newest first; `state` = only those, `wanted` = only those with this in the name or id of
/// their event or in their last error, regardless of case.
pub async fn list(
    db: impl Into<Db<'_>>,
    webhook: WebhookId,
    state: Option<DeliveryState>,
    wanted: Option<&str>,
    page: PageRequest,
) -> Result<Page<Delivery>> {
    let filtered = |query: &mut Query| {
        query.push(" and webhook_id = ");
        query.push_value(webhook.to_string());
        if let Some(state) = state {
            query.push(" and state = ");
            query.push_value(state.as_str());
        }
        if let Some(pattern) = search::pattern(wanted) {
            let searched = ["event", "event_id", "lower(coalesce(last_error, ''))"];
            search::push_any(query, &searched, &pattern);
        }
    };
    LIST.page(&mut db.into(), filtered, page, read).await
}

/// The delivery of this event to this webhook.
pub async fn find(
    db: impl Into<Db<'_>>,
    webhook: WebhookId,
    event_id: AuditEntryId,
) -> Result<Option<Delivery>> {
    let mut statement = query(SELECT);
    statement.push(" and webhook_id = ");
    statement.push_value(webhook.to_string());
    statement.push(" and event_id = ");
    statement.push_value(event_id.to_string());
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Begins a delivery that has ended anew, as if nothing had been tried. False when it has not ended, or is gone.
pub async fn redeliver(
    tx: &mut Tx,
    webhook: WebhookId,
    event_id: AuditEntryId,
    now: Timestamp,
) -> Result<bool> {
    let begun = tx
        .execute(
            query(
                "update webhook_deliveries set state = 'pending', attempts = 0, next_attempt_at = $3
                 where webhook_id = $1 and event_id = $2 and state <> 'pending'",
            )
            .bind_text(webhook)
            .bind_text(event_id)
            .bind(now),
        )
        .await?;
    tx.has_news();
    Ok(begun > 0)
}

/// Active webhooks for which something is due at `now`, the one that waits longest first, without those in `except`, at
/// most `limit`.
pub async fn due(
    db: impl Into<Db<'_>>,
    now: Timestamp,
    except: &[WebhookId],
    limit: u32,
) -> Result<Vec<WebhookId>> {
    let mut statement = query(
        "select webhook_id, min(next_attempt_at) as turn from webhook_deliveries
         where webhook_id in (select id from webhooks where is_active = ",
    );
    statement.push_value(true);
    statement.push(") and next_attempt_at <= ");
    statement.push_value(now);
    if !except.is_empty() {
        statement.push(" and webhook_id not in ");
        statement.push_list(except.iter().map(ToString::to_string));
    }
    statement.push(" group by webhook_id order by turn, webhook_id limit ");
    statement.push_value(i64::from(limit));
    db.into()
        .rows(statement)
        .await?
        .iter()
        .map(|row| row.parse("webhook_id"))
        .collect()
}

/// The oldest delivery for `webhook` that is due at `now`.
pub async fn next(
    db: impl Into<Db<'_>>,
    webhook: WebhookId,
    now: Timestamp,
) -> Result<Option<Delivery>> {
    let mut statement = query(SELECT);
    statement.push(" and webhook_id = ");
    statement.push_value(webhook.to_string());
    statement.push(" and next_attempt_at <= ");
    statement.push_value(now);
    statement.push(" order by created_at, event_id limit 1");
    db.into()
        .row(statement)
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Notes an attempt and what follows from it. False when the delivery is gone, with its webhook.
pub async fn record(tx: &mut Tx, attempt: &Attempt) -> Result<bool> {
    let (state, next_attempt_at) = match attempt.next {
        Next::Delivered => (DeliveryState::Delivered, None),
        Next::RetryAt(at) => (DeliveryState::Pending, Some(at)),
        Next::Dead => (DeliveryState::Dead, None),
    };
    tx.execute(
        query(
            "update webhook_deliveries set state = $3, attempts = attempts + 1, next_attempt_at = $4,
                 last_attempt_at = $5, last_status = $6, last_error = $7
             where webhook_id = $1 and event_id = $2",
        )
        .bind_text(attempt.webhook)
        .bind_text(attempt.event_id)
        .bind(state.as_str())
        .bind(next_attempt_at)
        .bind(attempt.at)
        .bind(attempt.status.map(i64::from))
        .bind(attempt.error.as_deref()),
    )
    .await
    .map(|rows| rows > 0)
}

/// Lets a webhook rest: nothing is due for it before `until`. Returns how many deliveries wait longer now.
pub async fn rest(tx: &mut Tx, webhook: WebhookId, until: Timestamp) -> Result<u64> {
    tx.execute(
        query(
            "update webhook_deliveries set next_attempt_at = $2 where webhook_id = $1 and next_attempt_at < $2",
        )
        .bind_text(webhook)
        .bind(until),
    )
    .await
}

/// Forgets deliveries of events from before `before`, whatever became of them. Returns how many.
pub async fn forget(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(query("delete from webhook_deliveries where created_at < $1").bind(before))
        .await
}

fn read(row: &Row) -> Result<Delivery> {
    let small = |column, value: i64| u16::try_from(value).map_err(|error| corrupt(column, error));
    Ok(Delivery {
        webhook: row.parse("webhook_id")?,
        event_id: row.parse("event_id")?,
        event: row.parse("event")?,
        payload: row.get("payload")?,
        state: row.parse("state")?,
        attempts: u32::try_from(row.unsigned("attempts")?)
            .map_err(|error| corrupt("attempts", error))?,
        next_attempt_at: row.instant_opt("next_attempt_at")?,
        last_attempt_at: row.instant_opt("last_attempt_at")?,
        last_status: row
            .get::<Option<i64>>("last_status")?
            .map(|status| small("last_status", status))
            .transpose()?,
        last_error: row.get("last_error")?,
        created_at: row.instant("created_at")?,
    })
}
