//! The table of segments: how many rows each part of a long list has, and how often it was changed.

use crate::error::Result;
use crate::sql::{Query, Row, query};
use crate::tx::{Db, Tx};

/// Positions in a segment.
pub(super) const POSITIONS: i64 = 512;

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its first position, divided by [`POSITIONS`].
    pub(super) number: i64,
    /// Grows with every change of one of its rows.
    pub(super) generation: i64,
}

/// What the segments of a list are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) rows: u64,
    /// Grows with every change of a row of the list.
    pub(super) generation: i64,
}

/// Notes that a row was added at `position`.
pub(crate) async fn added(tx: &mut Tx, kind: &'static str, position: i64) -> Result<()> {
    note(tx, kind, position, 1).await
}

/// Notes that what a search or filter may ask of the row at `position` was changed.
pub(crate) async fn changed(tx: &mut Tx, kind: &'static str, position: i64) -> Result<()> {
    note(tx, kind, position, 0).await
}

/// Notes that the row at `position` was removed.
pub(crate) async fn removed(tx: &mut Tx, kind: &'static str, position: i64) -> Result<()> {
    note(tx, kind, position, -1).await
}

async fn note(tx: &mut Tx, kind: &'static str, position: i64, difference: i64) -> Result<()> {
    tx.execute(
        query(
            "insert into list_segments (kind, segment, amount, generation) values ($1, $2, $3, 1)
             on conflict (kind, segment) do update set
                 amount = list_segments.amount + excluded.amount, generation = list_segments.generation + 1",
        )
        .bind(kind)
        .bind(position.div_euclid(POSITIONS))
        .bind(difference),
    )
    .await
    .map(drop)
}

/// The sums of all segments of a list.
pub(super) async fn sums(db: &mut Db<'_>, kind: &'static str) -> Result<Sums> {
    let statement = query(
        "select cast(coalesce(sum(amount), 0) as bigint) as amount,
             cast(coalesce(sum(generation), 0) as bigint) as generation
         from list_segments where kind = $1",
    );
    let row = db.row(statement.bind(kind)).await?;
    let none = Sums {
        rows: 0,
        generation: 0,
    };
    row.map_or(Ok(none), |row| {
        Ok(Sums {
            rows: row.unsigned("amount")?,
            generation: row.get("generation")?,
        })
    })
}

/// All segments of a list, in their order.
pub(super) async fn all(db: &mut Db<'_>, kind: &'static str) -> Result<Vec<Segment>> {
    let statement =
        query("select segment, generation from list_segments where kind = $1 order by segment");
    let read = |row: &Row| {
        Ok(Segment {
            number: row.get("segment")?,
            generation: row.get("generation")?,
        })
    };
    (db.rows(statement.bind(kind)).await?.iter())
        .map(read)
        .collect()
}

/// The first position of the segment with the row that has `offset` rows before it, and how many rows the segments
/// before have; `None` when the list is not that long.
pub(super) async fn with_row(
    db: &mut Db<'_>,
    kind: &'static str,
    offset: u64,
) -> Result<Option<(i64, u64)>> {
    let statement: Query = query(
        "select segment, amount_until - amount as amount_before from
             (select segment, amount, cast(sum(amount) over (order by segment) as bigint) as amount_until
              from list_segments where kind = $1) as running
         where amount_until > $2 order by segment limit 1",
    );
    let row = db.row(statement.bind(kind).bind(offset)).await?;
    row.map(|row| {
        let segment: i64 = row.get("segment")?;
        Ok((
            segment.saturating_mul(POSITIONS),
            row.unsigned("amount_before")?,
        ))
    })
    .transpose()
}
