//! When the managed keys of a profile's holders are rotated. The instants are stored, so that each rotation happens
//! once, also after a restart.

use tollgate_domain::Timestamp;
use tollgate_domain::ids::ProfileId;

use crate::error::Result;
use crate::sql::query;
use crate::tx::{Db, Tx};

/// A profile's rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rotation {
    /// The next one; `None` while rotation is off.
    pub next_at: Option<Timestamp>,
    /// The last one; `None` before the first.
    pub last_at: Option<Timestamp>,
}

/// The rotation of a profile; `None` when there is no such profile.
pub async fn find(db: impl Into<Db<'_>>, id: ProfileId) -> Result<Option<Rotation>> {
    db.into()
        .row(
            query("select next_rotation_at, last_rotation_at from access_profiles where id = $1")
                .bind(id.0),
        )
        .await?
        .map(|row| {
            Ok(Rotation {
                next_at: row.instant_opt("next_rotation_at")?,
                last_at: row.instant_opt("last_rotation_at")?,
            })
        })
        .transpose()
}

/// Sets the rotation of a profile. False when there is no such profile.
pub async fn set(tx: &mut Tx, id: ProfileId, rotation: Rotation) -> Result<bool> {
    tx.execute(
        query(
            "update access_profiles set next_rotation_at = $2, last_rotation_at = $3 where id = $1",
        )
        .bind(id.0)
        .bind(rotation.next_at)
        .bind(rotation.last_at),
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
