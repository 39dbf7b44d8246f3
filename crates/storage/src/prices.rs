//! Prices that an administrator set; they win over the catalog.

use serde::{Deserialize, Serialize};
use tollgate_domain::Timestamp;
use tollgate_domain::catalog::Prices;
use tollgate_domain::provider::ProviderName;
use tollgate_domain::snapshot::SnapshotChange;

use crate::error::Result;
use crate::sql::{Row, query, to_json};
use crate::tx::{Db, Tx};

/// The price of one model of one provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceOverride {
    /// The provider, configured or not.
    pub provider: ProviderName,
    /// The model; its case does not matter.
    pub model: String,
    /// The prices, in every tier.
    pub prices: Prices,
    /// When it was last set.
    pub updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct PricesRow {
    input: u64,
    cache_read: u64,
    cache_write_5m: u64,
    cache_write_1h: u64,
    audio_input: u64,
    output: u64,
    reasoning: u64,
    audio_output: u64,
    per_request: u64,
}

/// Sets a price, in the place of an older override.
pub async fn put(tx: &mut Tx, price: &PriceOverride) -> Result<()> {
    tx.execute(
        query(
            "insert into price_overrides (provider_name, model_key, model, prices, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $5)
             on conflict (provider_name, model_key) do update set
                 model = excluded.model, prices = excluded.prices, updated_at = excluded.updated_at",
        )
        .bind_text(&price.provider)
        .bind(price.model.to_lowercase())
        .bind(price.model.as_str())
        .bind(to_json("prices", &to_row(&price.prices))?)
        .bind(price.updated_at),
    )
    .await?;
    tx.changed(SnapshotChange::Prices);
    Ok(())
}

/// The override for a model, if there is one.
pub async fn find(
    db: impl Into<Db<'_>>,
    provider: &ProviderName,
    model: &str,
) -> Result<Option<PriceOverride>> {
    db.into()
        .row(
            query(
                "select provider_name, model, prices, updated_at from price_overrides
                 where provider_name = $1 and model_key = $2",
            )
            .bind_text(provider)
            .bind(model.to_lowercase()),
        )
        .await?
        .map(|row| read(&row))
        .transpose()
}

/// Every override, by provider and model.
pub async fn list(db: impl Into<Db<'_>>) -> Result<Vec<PriceOverride>> {
    db.into()
        .rows(query(
            "select provider_name, model, prices, updated_at from price_overrides
             order by provider_name, model_key",
        ))
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Takes an override away, so that the catalog holds again. False when there was none.
pub async fn delete(tx: &mut Tx, provider: &ProviderName, model: &str) -> Result<bool> {
    let deleted = tx
        .execute(
            query("delete from price_overrides where provider_name = $1 and model_key = $2")
                .bind_text(provider)
                .bind(model.to_lowercase()),
        )
        .await?
        > 0;
    if deleted {
        tx.changed(SnapshotChange::Prices);
    }
    Ok(deleted)
}

const fn to_row(prices: &Prices) -> PricesRow {
    PricesRow {
        input: prices.input,
        cache_read: prices.cache_read,
        cache_write_5m: prices.cache_write_5m,
        cache_write_1h: prices.cache_write_1h,
        audio_input: prices.audio_input,
        output: prices.output,
        reasoning: prices.reasoning,
        audio_output: prices.audio_output,
        per_request: prices.per_request,
    }
}

fn read(row: &Row) -> Result<PriceOverride> {
    let prices: PricesRow = row.json("prices")?;
    Ok(PriceOverride {
        provider: row.parse("provider_name")?,
        model: row.get("model")?,
        prices: Prices {
            input: prices.input,
            cache_read: prices.cache_read,
            cache_write_5m: prices.cache_write_5m,
            cache_write_1h: prices.cache_write_1h,
            audio_input: prices.audio_input,
            output: prices.output,
            reasoning: prices.reasoning,
            audio_output: prices.audio_output,
            per_request: prices.per_request,
        },
        updated_at: row.instant("updated_at")?,
    })
}
