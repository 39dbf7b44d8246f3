//! How many rows a list has, kept beside the rows, so that a page of a long list need not count it.

use crate::error::Result;
use crate::sql::query;
use crate::tx::{Db, Tx};

/// Adds `difference` to the number of `kind`.
pub(crate) async fn add(tx: &mut Tx, kind: &'static str, difference: i64) -> Result<()> {
    tx.execute(
        query(
            "insert into totals (kind, amount) values ($1, $2)
             on conflict (kind) do update set amount = totals.amount + excluded.amount",
        )
        .bind(kind)
        .bind(difference),
    )
    .await
    .map(drop)
}

/// The number of `kind`.
pub(crate) async fn get(db: &mut Db<'_>, kind: &'static str) -> Result<u64> {
    db.count(query("select amount from totals where kind = $1").bind(kind))
        .await
}
