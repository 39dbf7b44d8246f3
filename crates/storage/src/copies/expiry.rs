//! Copies whose time is over. They grant nothing from that instant on, whoever notices; that it has come is told once.

use tollgate_domain::Timestamp;
use tollgate_domain::ids::CopyId;

use crate::error::Result;
use crate::sql::query;
use crate::tx::{Db, Tx};

/// Copies that have ended by `now` and of which nobody was told, the earliest first, at most `limit`.
pub async fn due(db: impl Into<Db<'_>>, now: Timestamp, limit: u32) -> Result<Vec<CopyId>> {
    db.into()
        .rows(
            query(
                "select id from user_copies where expiry_due_at <= $1 order by expiry_due_at, id limit $2",
            )
            .bind(now)
            .bind(i64::from(limit)),
        )
        .await?
        .iter()
        .map(|row| row.parse("id"))
        .collect()
}

/// Notes that the end of a copy is told of. False when it was before, or is not over by `now`.
pub async fn note(tx: &mut Tx, id: CopyId, now: Timestamp) -> Result<bool> {
    tx.execute(
        query("update user_copies set expiry_due_at = null where id = $1 and expiry_due_at <= $2")
            .bind_text(id)
            .bind(now),
    )
    .await
    .map(|rows| rows > 0)
}
