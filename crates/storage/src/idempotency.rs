//! Answers that are given again when the same is asked for twice.
//!
//! A correction of money happens in the ledger, before the database hears of it. So the fold writes down that it was
//! made, and its answer follows: a row without a status is one whose answer is not known (yet, or because the process
//! died).

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::MadeOnce;
use tollgate_domain::live::Once;

use crate::error::{Constraint, Result, StorageError};
use crate::sql::{Row, corrupt, from_json, query, to_json};
use crate::tx::{Db, Tx};

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedAnswer {
    /// SHA-256 of method, path and body of the request.
    pub fingerprint: [u8; 32],
    /// The answer's status.
    pub status: u16,
    /// The answer's own headers, such as `etag`: names and values.
    pub headers: Vec<(String, String)>,
    /// The answer's body, with secrets masked.
    pub body: String,
    /// When it was given.
    pub created_at: Timestamp,
}

/// What is known of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// It was answered.
    Answer(RecordedAnswer),
    /// The correction that it asked for was made; the ledger knows it, and does not make it again.
    Made {
        /// As [`RecordedAnswer::fingerprint`].
        fingerprint: [u8; 32],
    },
}

/// The status of a row whose answer is not known.
const NO_STATUS: i64 = 0;

/// What became of `actor`'s request with the idempotency key `key` since `not_before`.
pub async fn find(
    db: impl Into<Db<'_>>,
    actor: &str,
    key: &str,
    not_before: Timestamp,
) -> Result<Option<Recorded>> {
    let row = db
        .into()
        .row(
            query(
                "select fingerprint, status, headers, body, created_at from idempotency_keys
                 where actor = $1 and key = $2 and created_at >= $3",
            )
            .bind(actor)
            .bind(key)
            .bind(not_before),
        )
        .await?;
    let Some(row) = row else {
        return Ok(None);
    };
    let fingerprint = fingerprint(&row)?;
    let status = row.get::<i64>("status")?;
    if status == NO_STATUS {
        return Ok(Some(Recorded::Made { fingerprint }));
    }
    Ok(Some(Recorded::Answer(RecordedAnswer {
        fingerprint,
        status: u16::try_from(status).map_err(|error| corrupt("status", error))?,
        headers: from_json("headers", &row.get::<String>("headers")?)?,
        body: row.get("body")?,
        created_at: row.instant("created_at")?,
    })))
}

fn fingerprint(row: &Row) -> Result<[u8; 32]> {
    row.get::<Vec<u8>>("fingerprint")?
        .try_into()
        .map_err(|_| corrupt("fingerprint", "not 32 bytes long"))
}

/// Records an answer, in the transaction of what it tells of, or after a correction that it tells of.
///
/// # Errors
/// [`Conflict`](crate::StorageError::Conflict) when one is recorded: then the transaction must not be committed either.
pub async fn record(tx: &mut Tx, actor: &str, key: &str, answer: &RecordedAnswer) -> Result<()> {
    let written = tx
        .execute(
            query(
                "insert into idempotency_keys (actor, key, fingerprint, status, headers, body, created_at)
                 values ($1, $2, $3, $4, $5, $6, $7)
                 on conflict (actor, key) do update set
                     status = excluded.status, headers = excluded.headers, body = excluded.body,
                     created_at = excluded.created_at
                 where idempotency_keys.status = $8
                     and idempotency_keys.fingerprint = excluded.fingerprint",
            )
            .bind(actor)
            .bind(key)
            .bind(answer.fingerprint)
            .bind(i64::from(answer.status))
            .bind(to_json("headers", &answer.headers)?)
            .bind(answer.body.as_str())
            .bind(answer.created_at)
            .bind(NO_STATUS),
        )
        .await?;
    if written == 0 {
        return Err(StorageError::Conflict(Constraint::IdempotencyKey));
    }
    Ok(())
}

/// Writes down that a correction was made, unless its answer was faster.
pub(crate) async fn note_made(tx: &mut Tx, actor: &str, once: &Once, at: Timestamp) -> Result<()> {
    tx.execute(
        query(
            "insert into idempotency_keys (actor, key, fingerprint, status, body, created_at)
             values ($1, $2, $3, $4, '', $5)
             on conflict (actor, key) do update set
                 fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
                 body = excluded.body, created_at = excluded.created_at
             where idempotency_keys.created_at < $6",
        )
        .bind(actor)
        .bind(once.key.as_str())
        .bind(once.fingerprint)
        .bind(NO_STATUS)
        .bind(at)
        .bind(at.saturating_add_micros(-Once::KEPT_FOR)),
    )
    .await
    .map(drop)
}

/// The corrections since `not_before` whose answer is not known, oldest first.
pub(crate) async fn made_once(db: &mut Db<'_>, not_before: Timestamp) -> Result<Vec<MadeOnce>> {
    let rows = db
        .rows(
            query(
                "select actor, key, fingerprint, created_at from idempotency_keys
                 where status = $1 and created_at >= $2 order by created_at, actor, key",
            )
            .bind(NO_STATUS)
            .bind(not_before),
        )
        .await?;
    rows.iter().map(read_made).collect()
}

fn read_made(row: &Row) -> Result<MadeOnce> {
    Ok(MadeOnce {
        actor: row.get("actor")?,
        once: Once {
            key: row.get("key")?,
            fingerprint: fingerprint(row)?,
        },
        at: row.instant("created_at")?,
    })
}

/// Forgets answers from before `before`. Returns how many.
pub async fn forget(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(query("delete from idempotency_keys where created_at < $1").bind(before))
        .await
}
