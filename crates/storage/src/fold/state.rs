//! What the ledger starts from.

use std::collections::BTreeSet;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{CounterAmount, CounterKey, LedgerState, OpenHold};
use tollgate_domain::limits::WindowKey;
use tollgate_domain::live::Once;

use super::facts::{duration, kind, read_hold};
use super::{position, uuid};
use crate::error::Result;
use crate::idempotency;
use crate::sql::{Row, query};
use crate::store::Store;
use crate::tx::Db;

pub(super) const COUNTERS: &str = "select line, kind, duration, window_key, window_start, window_end, amount from counters where ";

pub(super) async fn read(store: &Store) -> Result<LedgerState> {
    let mut db = Db::from(store);
    let Some(position) = position(&mut db).await? else {
        return Ok(LedgerState::default());
    };
    let open = holds(
        &mut db,
        "select request_id, facts, holds from open_holds order by request_id",
        "holds",
    )
    .await?;
    let in_doubt = holds(
        &mut db,
        "select request_id, facts, charges from in_doubt where resolved_at is null order by at, request_id",
        "charges",
    )
    .await?;
    let mut counters = running(&mut db, position.last_instant).await?;
    let named: BTreeSet<CounterKey> = open
        .iter()
        .chain(&in_doubt)
        .flat_map(|hold| &hold.holds)
        // Those that run are read already.
        .filter(|amount| amount.end <= position.last_instant)
        .map(|amount| amount.key)
        .collect();
    for key in named {
        counters.extend(one(&mut db, key).await?);
    }
    let oldest = position.last_instant.saturating_add_micros(-Once::KEPT_FOR);
    Ok(LedgerState {
        made_once: idempotency::made_once(&mut db, oldest).await?,
        journal: Some(position.journal),
        position: position.at,
        last_instant: Some(position.last_instant),
        counters,
        open,
        in_doubt,
    })
}

async fn holds(
    db: &mut Db<'_>,
    text: &'static str,
    amounts: &'static str,
) -> Result<Vec<OpenHold>> {
    db.rows(query(text))
        .await?
        .iter()
        .map(|row| read_hold(row, amounts))
        .collect()
}

/// Counters whose window had not ended at `at`.
async fn running(db: &mut Db<'_>, at: Timestamp) -> Result<Vec<CounterAmount>> {
    let mut statement = query(COUNTERS);
    statement.push("window_end > ");
    statement.push_value(at);
    statement.push(" order by line, kind, duration, window_key");
    db.rows(statement).await?.iter().map(read_counter).collect()
}

async fn one(db: &mut Db<'_>, key: CounterKey) -> Result<Option<CounterAmount>> {
    let mut statement = query(COUNTERS);
    statement.push("line = ");
    statement.push_value(key.line.as_bytes().as_slice());
    statement.push(" and kind = ");
    statement.push_value(i64::from(key.kind.code()));
    statement.push(" and duration = ");
    statement.push_value(i64::from(key.duration.code()));
    statement.push(" and window_key = ");
    statement.push_value(key.window.0);
    db.row(statement)
        .await?
        .map(|row| read_counter(&row))
        .transpose()
}

pub(super) fn read_counter(row: &Row) -> Result<CounterAmount> {
    Ok(CounterAmount {
        key: CounterKey {
            line: uuid(row, "line")?,
            kind: kind("kind", row.get("kind")?)?,
            duration: duration("duration", row.get("duration")?)?,
            window: WindowKey(row.get("window_key")?),
        },
        start: row.instant("window_start")?,
        end: row.instant("window_end")?,
        amount: row.get("amount")?,
    })
}
