//! Answers that are given again when the same creation is asked for twice.

use tollgate_domain::Timestamp;

use crate::error::Result;
use crate::sql::{corrupt, from_json, query, to_json};
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

/// The answer that `actor` got for the idempotency key `key` since `not_before`.
pub async fn find(
    db: impl Into<Db<'_>>,
    actor: &str,
    key: &str,
    not_before: Timestamp,
) -> Result<Option<RecordedAnswer>> {
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
    Ok(Some(RecordedAnswer {
        fingerprint: row
            .get::<Vec<u8>>("fingerprint")?
            .try_into()
            .map_err(|_| corrupt("fingerprint", "not 32 bytes long"))?,
        status: u16::try_from(row.get::<i64>("status")?)
            .map_err(|error| corrupt("status", error))?,
        headers: from_json("headers", &row.get::<String>("headers")?)?,
        body: row.get("body")?,
        created_at: row.instant("created_at")?,
    }))
}

/// Records an answer, in the transaction of what it tells of.
///
/// # Errors
/// [`Conflict`](crate::StorageError::Conflict) when one is recorded: then the transaction must not be committed either.
pub async fn record(tx: &mut Tx, actor: &str, key: &str, answer: &RecordedAnswer) -> Result<()> {
    tx.execute(
        query(
            "insert into idempotency_keys (actor, key, fingerprint, status, headers, body, created_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(actor)
        .bind(key)
        .bind(answer.fingerprint)
        .bind(i64::from(answer.status))
        .bind(to_json("headers", &answer.headers)?)
        .bind(answer.body.as_str())
        .bind(answer.created_at),
    )
    .await
    .map(drop)
}

/// Forgets answers from before `before`. Returns how many.
pub async fn forget(tx: &mut Tx, before: Timestamp) -> Result<u64> {
    tx.execute(query("delete from idempotency_keys where created_at < $1").bind(before))
        .await
}
