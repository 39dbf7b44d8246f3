//! New secrets of automatic rotations, sealed, that wait until the key's holder collects them: once, and not for ever.

use secrecy::SecretString;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::VirtualKeyId;
use tollgate_domain::snapshot::SnapshotChange;

use crate::error::Result;
use crate::sql::query;
use crate::tx::{Db, Tx};
use crate::vault::Place;

const fn place(key: &str) -> Place<'_> {
    Place {
        table: "key_rotations",
        column: "value_sealed",
        row: key,
    }
}

/// Keeps the new secret of a key until `collect_until`, in the place of one that waits.
///
/// # Errors
/// [`StorageError::Reference`](crate::StorageError::Reference) when there is no such key.
pub async fn put(
    tx: &mut Tx,
    key: VirtualKeyId,
    secret: &SecretString,
    collect_until: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let sealed = tx.vault().seal(&place(&key.to_string()), secret)?;
    tx.execute(
        query(
            "insert into key_rotations (key_id, value_sealed, collect_until, created_at) values ($1, $2, $3, $4)
             on conflict (key_id) do update set
                 value_sealed = excluded.value_sealed, collect_until = excluded.collect_until,
                 created_at = excluded.created_at",
        )
        .bind_text(key)
        .bind(sealed)
        .bind(collect_until)
        .bind(now),
    )
    .await
    .map(drop)
}

/// Until when a secret waits for the holder of `key`; `None` when none does.
pub async fn find(db: impl Into<Db<'_>>, key: VirtualKeyId) -> Result<Option<Timestamp>> {
    db.into()
        .row(query("select collect_until from key_rotations where key_id = $1").bind_text(key))
        .await?
        .map(|row| row.instant("collect_until"))
        .transpose()
}

/// Hands out the secret that waits for the holder of `key` at `now`, and forgets it: nobody gets it twice.
///
/// # Errors
/// [`StorageError::Sealed`](crate::StorageError::Sealed) when it does not open with the master key.
pub async fn take(tx: &mut Tx, key: VirtualKeyId, now: Timestamp) -> Result<Option<SecretString>> {
    let taken = tx
        .row(
            query(
                "delete from key_rotations where key_id = $1 and collect_until > $2 returning value_sealed",
            )
            .bind_text(key)
            .bind(now),
        )
        .await?;
    let Some(row) = taken else { return Ok(None) };
    let sealed: String = row.get("value_sealed")?;
    tx.vault().open(&place(&key.to_string()), &sealed).map(Some)
}

/// Brings the end of the waiting, and of the old secret with it, forward to `until`, when it is later. Says whether it
/// was.
pub async fn shorten(tx: &mut Tx, key: VirtualKeyId, until: Timestamp) -> Result<bool> {
    let is_shorter = tx
        .execute(
            query(
                "update key_rotations set collect_until = $2 where key_id = $1 and collect_until > $2",
            )
            .bind_text(key)
            .bind(until),
        )
        .await?
        > 0;
    if is_shorter {
        tx.execute(
            query(
                "update virtual_keys set previous_until = $2 where id = $1 and previous_until > $2",
            )
            .bind_text(key)
            .bind(until),
        )
        .await?;
        tx.changed(SnapshotChange::Key(key));
    }
    Ok(is_shorter)
}

/// Keys whose secret waited in vain until `now`, at most `limit`.
pub async fn expired(
    db: impl Into<Db<'_>>,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<VirtualKeyId>> {
    db.into()
        .rows(
            query(
                "select key_id from key_rotations where collect_until <= $1
                 order by collect_until, key_id limit $2",
            )
            .bind(now)
            .bind(i64::from(limit)),
        )
        .await?
        .iter()
        .map(|row| row.parse("key_id"))
        .collect()
}

/// Forgets a secret that waited in vain until `now`. False when none did.
pub async fn lose(tx: &mut Tx, key: VirtualKeyId, now: Timestamp) -> Result<bool> {
    tx.execute(
        query("delete from key_rotations where key_id = $1 and collect_until <= $2")
            .bind_text(key)
            .bind(now),
    )
    .await
    .map(|rows| rows > 0)
}
