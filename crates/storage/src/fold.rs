//! Folds the journal into the database: counters, log rows, open holds and the position, in one transaction.

mod batch;
mod corrections;
pub(crate) mod facts;
mod log;
mod state;
mod thresholds;

use tollgate_domain::accounting::{FoldBatch, JournalPosition, LedgerState};
use uuid::Uuid;

pub use self::thresholds::{Watch, Watches};

use crate::error::{Result, StorageError};
use crate::resets;
use crate::sql::{Row, corrupt, query};
use crate::store::Store;
use crate::tx::{Db, Tx};

impl Store {
    /// Applies a piece of the journal, once: a piece that was applied before changes nothing.
    ///
    /// # Errors
    /// [`StorageError::JournalGap`] when the piece is of another journal, or does not start where the database stands;
    /// else when the database fails. In every case nothing has changed.
    pub async fn fold(&self, batch: &FoldBatch) -> Result<()> {
        self.fold_watched(batch, None).await.map(drop)
    }

    /// As [`Self::fold`], and tells of the thresholds that were reached: an audit entry for each, in the same
    /// transaction. Returns how many.
    ///
    /// # Errors
    /// As [`Self::fold`].
    pub async fn fold_watched(
        &self,
        batch: &FoldBatch,
        watches: Option<&Watches<'_>>,
    ) -> Result<u64> {
        let mut tx = self.begin().await?;
        if is_folded(&mut tx, batch).await? {
            tx.rollback().await?;
            return Ok(0);
        }
        batch::counters(&mut tx, &batch.counters).await?;
        log::append(&mut tx, &batch.log).await?;
        batch::open_holds(&mut tx, &batch.opened, &batch.closed).await?;
        batch::in_doubt(&mut tx, &batch.in_doubt, &batch.log).await?;
        for (request, cost, at) in &batch.resolved {
            batch::resolve(&mut tx, *request, *cost, *at).await?;
            log::resolve(&mut tx, *request, *cost, *at).await?;
        }
        corrections::record(&mut tx, &batch.corrections).await?;
        resets::forget(&mut tx, &batch.resets).await?;
        put_position(&mut tx, batch).await?;
        let told = match watches {
            Some(watches) => thresholds::tell(&mut tx, &batch.counters, watches).await?,
            None => 0,
        };
        let changes = tx.commit().await?;
        debug_assert!(changes.is_empty(), "a fold is no matter of the snapshot");
        Ok(told)
    }

    /// Tells of the thresholds that running counters have reached and nobody was told of: after a limit that is watched
    /// may have become lower. Returns how many.
    ///
    /// # Errors
    /// When the database fails; what was told stays told.
    pub async fn tell_reached(&self, watches: &Watches<'_>) -> Result<u64> {
        thresholds::tell_of_running(self, watches).await
    }

    /// What the ledger starts from.
    ///
    /// # Errors
    /// When the database fails or holds damaged data.
    pub async fn ledger_state(&self) -> Result<LedgerState> {
        state::read(self).await
    }
}

/// Where the database stands.
pub(super) struct Position {
    pub(super) journal: Uuid,
    pub(super) at: JournalPosition,
    pub(super) last_instant: tollgate_domain::Timestamp,
}

pub(super) async fn position(db: &mut Db<'_>) -> Result<Option<Position>> {
    db.row(query(
        "select journal, segment, byte_offset, last_instant from ledger_position where id = 1",
    ))
    .await?
    .map(|row| read_position(&row))
    .transpose()
}

fn read_position(row: &Row) -> Result<Position> {
    Ok(Position {
        journal: uuid(row, "journal")?,
        at: JournalPosition {
            segment: row.unsigned("segment")?,
            offset: row.unsigned("byte_offset")?,
        },
        last_instant: row.instant("last_instant")?,
    })
}

pub(super) fn uuid(row: &Row, column: &'static str) -> Result<Uuid> {
    Uuid::from_slice(&row.get::<Vec<u8>>(column)?).map_err(|error| corrupt(column, error))
}

async fn is_folded(tx: &mut Tx, batch: &FoldBatch) -> Result<bool> {
    let Some(stored) = position(&mut Db::Tx(tx)).await? else {
        return Ok(false);
    };
    if stored.journal != batch.journal {
        return Err(StorageError::JournalGap(format!(
            "the database belongs to journal {}, not to {}",
            stored.journal, batch.journal
        )));
    }
    if batch.to <= stored.at {
        return Ok(true);
    }
    if batch.from != stored.at {
        return Err(StorageError::JournalGap(format!(
            "the database stands at segment {}, byte {}, but the piece starts at segment {}, byte {}",
            stored.at.segment, stored.at.offset, batch.from.segment, batch.from.offset
        )));
    }
    Ok(false)
}

async fn put_position(tx: &mut Tx, batch: &FoldBatch) -> Result<()> {
    tx.execute(
        query(
            "insert into ledger_position (id, journal, segment, byte_offset, last_instant)
             values (1, $1, $2, $3, $4)
             on conflict (id) do update set
                 segment = excluded.segment, byte_offset = excluded.byte_offset,
                 last_instant = excluded.last_instant",
        )
        .bind(batch.journal.as_bytes().as_slice())
        .bind(batch.to.segment)
        .bind(batch.to.offset)
        .bind(batch.last_instant),
    )
    .await
    .map(drop)
}
