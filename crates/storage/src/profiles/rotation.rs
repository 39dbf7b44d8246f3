//! When the managed keys of a profile's holders are rotated. The instants are stored, so that each rotation happens
//! once, also after a restart, and so is how far a rotation that is under way has come.

use tollgate_domain::Timestamp;
pub use tollgate_domain::access::profile::Rotation;
use tollgate_domain::ids::{ProfileId, UserId};

use crate::error::Result;
use crate::sql::query;
use crate::tx::{Db, Tx};

/// Sets the rotation of a profile; one that was under way is over. False when there is no such profile.
pub async fn set(tx: &mut Tx, id: ProfileId, rotation: Rotation) -> Result<bool> {
    tx.execute(
        query(
            "update access_profiles set next_rotation_at = $2, last_rotation_at = $3, rotation_cursor = null
             where id = $1",
        )
        .bind(id.0)
        .bind(rotation.next_at)
        .bind(rotation.last_at),
    )
    .await
    .map(|rows| rows > 0)
}

/// The last holder, in the order of ids, whose keys the rotation under way has come to.
pub async fn cursor(db: impl Into<Db<'_>>, id: ProfileId) -> Result<Option<UserId>> {
    let row = db
        .into()
        .row(query("select rotation_cursor from access_profiles where id = $1").bind(id.0))
        .await?;
    row.map_or(Ok(None), |row| row.parse_opt("rotation_cursor"))
}

/// Notes how far the rotation under way has come. False when there is no such profile.
pub async fn set_cursor(tx: &mut Tx, id: ProfileId, last: UserId) -> Result<bool> {
    tx.execute(
        query("update access_profiles set rotation_cursor = $2 where id = $1")
            .bind(id.0)
            .bind_text(last),
    )
    .await
    .map(|rows| rows > 0)
}

/// Profiles whose next rotation is due at `now`, the one that waits longest first, at most `limit`.
pub async fn due(db: impl Into<Db<'_>>, now: Timestamp, limit: u32) -> Result<Vec<ProfileId>> {
    db.into()
        .rows(
            query(
                "select id from access_profiles where next_rotation_at <= $1
                 order by next_rotation_at, id limit $2",
            )
            .bind(now)
            .bind(i64::from(limit)),
        )
        .await?
        .iter()
        .map(|row| row.get("id").map(ProfileId))
        .collect()
}
