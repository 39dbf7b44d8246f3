//! Counters and holds of a piece of the journal.

use std::collections::{BTreeMap, HashMap};

use tollgate_domain::accounting::{CounterAmount, CounterKey, Ending, LogEntry, OpenHold, Outcome};
use tollgate_domain::ids::RequestId;
use tollgate_domain::{Timestamp, Usd};

use super::facts::{amounts_text, facts_text};
use crate::error::Result;
use crate::sql::{Value, held_sum, pieces, query};
use crate::tx::Tx;

/// Adds differences to counters.
pub(super) async fn counters(tx: &mut Tx, changes: &[CounterAmount]) -> Result<()> {
    // PostgreSQL refuses a statement that touches a row twice, so the same counter is summed up first.
    let mut sums: BTreeMap<CounterKey, CounterAmount> = BTreeMap::new();
    for change in changes {
        sums.entry(change.key)
            .and_modify(|sum| sum.amount = sum.amount.saturating_add(change.amount))
            .or_insert(*change);
    }
    let sums: Vec<CounterAmount> = sums.into_values().collect();
    for piece in pieces(&sums) {
        let mut insert = query(
            "insert into counters (line, kind, duration, window_key, window_start, window_end, amount) values ",
        );
        let mut separator = "";
        for sum in piece {
            insert.push(separator);
            insert.push_list::<Value>([
                sum.key.line.as_bytes().as_slice().into(),
                i64::from(sum.key.kind.code()).into(),
                i64::from(sum.key.duration.code()).into(),
                sum.key.window.0.into(),
                sum.start.into(),
                sum.end.into(),
                sum.amount.into(),
            ]);
            separator = ", ";
        }
        insert.push(
            " on conflict (line, kind, duration, window_key)
              do update set ",
        );
        insert.push(held_sum!("counters", "amount"));
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Stores holds that are open now, and forgets those that were closed.
pub(super) async fn open_holds(
    tx: &mut Tx,
    opened: &[OpenHold],
    closed: &[RequestId],
) -> Result<()> {
    for piece in pieces(closed) {
        let mut delete = query("delete from open_holds where request_id in ");
        delete.push_list(piece.iter().map(ToString::to_string));
        tx.execute(delete).await?;
    }
    for piece in pieces(opened) {
        let mut insert = query("insert into open_holds (request_id, facts, holds) values ");
        let mut separator = "";
        for hold in piece {
            insert.push(separator);
            insert.push_list([
                hold.facts.request.to_string(),
                facts_text(&hold.facts)?,
                amounts_text("holds", &hold.holds)?,
            ]);
            separator = ", ";
        }
        insert.push(
            " on conflict (request_id) do update set facts = excluded.facts, holds = excluded.holds",
        );
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Stores what was charged in doubt, with how it ended, which `log` has.
pub(super) async fn in_doubt(tx: &mut Tx, charged: &[OpenHold], log: &[LogEntry]) -> Result<()> {
    if charged.is_empty() {
        return Ok(());
    }
    let in_doubt = log
        .iter()
        .filter(|entry| entry.ending.outcome == Outcome::InDoubt);
    let endings: HashMap<RequestId, &Ending> = in_doubt
        .map(|entry| (entry.facts.request, &entry.ending))
        .collect();
    for piece in pieces(charged) {
        let mut insert = query(
            "insert into in_doubt (request_id, facts, charges, at, key_id, user_id, profile_id, provider, model,
                 ended_at, error_code) values ",
        );
        let mut separator = "";
        for hold in piece {
            let facts = &hold.facts;
            let ending = endings.get(&facts.request);
            insert.push(separator);
            insert.push_list::<Value>([
                facts.request.to_string().into(),
                facts_text(facts)?.into(),
                amounts_text("charges", &hold.holds)?.into(),
                facts.at.into(),
                facts.key.to_string().into(),
                facts.user.map(|id| id.to_string()).into(),
                facts.profile.map(|id| id.0).into(),
                facts.provider.as_str().into(),
                facts.model.as_str().into(),
                ending.map(|ending| ending.at.as_micros()).into(),
                ending.and_then(|ending| ending.error_code.clone()).into(),
            ]);
            separator = ", ";
        }
        insert.push(
            " on conflict (request_id) do update set facts = excluded.facts, charges = excluded.charges,
                  ended_at = excluded.ended_at, error_code = excluded.error_code",
        );
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Notes that the charge of a request in doubt was corrected.
pub(super) async fn resolve(
    tx: &mut Tx,
    request: RequestId,
    cost: Usd,
    at: Timestamp,
) -> Result<()> {
    tx.execute(
        query("update in_doubt set resolved_at = $2, resolved_cost = $3 where request_id = $1")
            .bind_text(request)
            .bind(at)
            .bind(cost.nanos()),
    )
    .await
    .map(drop)
}
