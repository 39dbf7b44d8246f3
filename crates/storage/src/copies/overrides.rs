//! Raises of single budgets of single copies.

use std::collections::BTreeMap;

use tollgate_domain::ids::{BudgetId, CopyId, UserId};
use tollgate_domain::limits::Boost;
use tollgate_domain::snapshot::SnapshotChange;
use tollgate_domain::{Timestamp, Usd};

use crate::error::{Result, StorageError};
use crate::sql::{Row, query};
use crate::tx::{Db, Tx};

/// A raise of one budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetOverride {
    /// Which budget line of the copy.
    pub budget: BudgetId,
    /// Added to the limit.
    pub amount: Usd,
    /// For how many windows it was asked for, the running one included; `None` = for ever.
    pub cycles: Option<u32>,
    /// The first instant at which it no longer counts; `None` = for ever.
    pub ends_at: Option<Timestamp>,
    /// When it was set.
    pub created_at: Timestamp,
}

impl BudgetOverride {
    /// The raise as a meter has it.
    pub const fn boost(&self) -> Boost {
        Boost {
            amount: self.amount.nanos(),
            until: self.ends_at,
        }
    }
}

/// Sets the raise of one budget of a copy, in the place of an older one.
///
/// # Errors
/// [`StorageError::Reference`] when there is no such copy.
pub async fn put(tx: &mut Tx, copy: CopyId, raise: &BudgetOverride) -> Result<()> {
    tx.execute(
        query(
            "insert into budget_overrides (copy_id, budget_id, amount, cycles, ends_at, created_at)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (copy_id, budget_id) do update set
                 amount = excluded.amount, cycles = excluded.cycles, ends_at = excluded.ends_at,
                 created_at = excluded.created_at",
        )
        .bind_text(copy)
        .bind_text(raise.budget)
        .bind(raise.amount.nanos())
        .bind(raise.cycles.map(i64::from))
        .bind(raise.ends_at)
        .bind(raise.created_at),
    )
    .await?;
    note_holder(tx, copy).await
}

/// Takes the raise of one budget away. False when it had none.
pub async fn remove(tx: &mut Tx, copy: CopyId, budget: BudgetId) -> Result<bool> {
    let removed = tx
        .execute(
            query("delete from budget_overrides where copy_id = $1 and budget_id = $2")
                .bind_text(copy)
                .bind_text(budget),
        )
        .await?
        > 0;
    if removed {
        note_holder(tx, copy).await?;
    }
    Ok(removed)
}

/// The raises of these copies. Callers ask for a bounded number of copies.
pub async fn of_copies(
    db: impl Into<Db<'_>>,
    copies: &[CopyId],
) -> Result<BTreeMap<CopyId, Vec<BudgetOverride>>> {
    let mut found: BTreeMap<CopyId, Vec<BudgetOverride>> = BTreeMap::new();
    if copies.is_empty() {
        return Ok(found);
    }
    let mut statement = query(
        "select copy_id, budget_id, amount, cycles, ends_at, created_at from budget_overrides where copy_id in ",
    );
    statement.push_list(copies.iter().map(ToString::to_string));
    statement.push(" order by copy_id, budget_id");
    for row in db.into().rows(statement).await? {
        found
            .entry(row.parse("copy_id")?)
            .or_default()
            .push(read(&row)?);
    }
    Ok(found)
}

async fn note_holder(tx: &mut Tx, copy: CopyId) -> Result<()> {
    let row = tx
        .row(query("select user_id from user_copies where id = $1").bind_text(copy))
        .await?
        .ok_or(StorageError::Reference)?;
    let user: UserId = row.parse("user_id")?;
    tx.changed(SnapshotChange::User(user));
    Ok(())
}

fn read(row: &Row) -> Result<BudgetOverride> {
    Ok(BudgetOverride {
        budget: row.parse("budget_id")?,
        amount: Usd::from_nanos(row.get("amount")?),
        cycles: row
            .get::<Option<i64>>("cycles")?
            .and_then(|cycles| u32::try_from(cycles).ok()),
        ends_at: row.instant_opt("ends_at")?,
        created_at: row.instant("created_at")?,
    })
}
