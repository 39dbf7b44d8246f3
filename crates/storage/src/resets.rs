//! Usage that is to be set back to zero, until the journal has it there.
//!
//! A row is written in the transaction of the change that it belongs to, and deleted by the fold, in the transaction that
//! brings the zero into the counters. So what was asked for happens once, whenever the process dies.

use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_domain::ids::ResetId;
use tollgate_domain::limits::MeterId;
use tollgate_domain::live::UsageReset;
use uuid::Uuid;

use crate::error::Result;
use crate::fold::facts::kind;
use crate::sql::{MAX_VALUES, Row, query, to_json};
use crate::tx::{Db, Tx};

/// One meter: its line and its kind.
#[derive(Serialize, Deserialize)]
struct MeterRow(Uuid, u8);

/// Asks for a reset, as of `at`.
pub async fn add(tx: &mut Tx, reset: &UsageReset, at: Timestamp) -> Result<()> {
    let row = |id: &MeterId| MeterRow(id.line, id.kind.code());
    let meters: Vec<MeterRow> = reset.meters.iter().map(row).collect();
    tx.execute(
        query("insert into usage_resets (id, meters, created_at) values ($1, $2, $3)")
            .bind_text(reset.id)
            .bind(to_json("meters", &meters)?)
            .bind(at),
    )
    .await
    .map(drop)
}

/// All that the counters do not have yet, in the order in which they were asked for.
pub async fn list(db: impl Into<Db<'_>>) -> Result<Vec<UsageReset>> {
    let all = query("select id, meters from usage_resets order by created_at, id");
    db.into().rows(all).await?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<UsageReset> {
    let meters: Vec<MeterRow> = row.json("meters")?;
    Ok(UsageReset {
        id: row.parse("id")?,
        meters: meters
            .into_iter()
            .map(|MeterRow(line, code)| {
                let kind = kind("meters", i64::from(code))?;
                Ok(MeterId { line, kind })
            })
            .collect::<Result<_>>()?,
    })
}

/// Forgets what the counters have.
pub(crate) async fn forget(tx: &mut Tx, done: &[ResetId]) -> Result<()> {
    for piece in done.chunks(MAX_VALUES) {
        let mut delete = query("delete from usage_resets where id in ");
        delete.push_list(piece.iter().map(ToString::to_string));
        tx.execute(delete).await?;
    }
    Ok(())
}
