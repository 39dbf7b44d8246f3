//! What models cost: the catalog inside the binary, and overrides that win over it.

mod delete;
mod list;
mod put;

use serde::Serialize;
use serde_json::value::RawValue;
use tollgate_domain::catalog::{ModelInfo, Prices};
use tollgate_domain::money::{ParseUsdError, parse_scaled};
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};
use utoipa_axum::routes;

use crate::body::{FromJson, Node, Problems};
use crate::operations::Operations;
use crate::problem::TOO_PRECISE;

/// The operations on prices.
pub(crate) fn operations() -> Operations {
    Operations::new()
        .routes(|| routes!(list::list_prices))
        .routes(|| routes!(put::set_price, delete::delete_price))
}

/// Decimals of a dollar in a pico-dollar a token, when a million tokens are counted at once.
const PER_MILLION_SCALE: u32 = 6;
/// Decimals of a dollar in a pico-dollar.
const PER_REQUEST_SCALE: u32 = 12;

/// The price of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceView {
    provider: String,
    model: String,
    #[schema(value_type = f64)]
    input_usd_per_million: Box<RawValue>,
    #[schema(value_type = f64)]
    output_usd_per_million: Box<RawValue>,
    #[schema(value_type = f64)]
    cache_read_usd_per_million: Box<RawValue>,
    #[schema(value_type = f64)]
    cache_write_usd_per_million: Box<RawValue>,
    #[schema(value_type = f64)]
    reasoning_usd_per_million: Box<RawValue>,
    #[schema(value_type = f64)]
    per_request_usd: Box<RawValue>,
    /// Whether prices differ by context size or service tier; what stands here is the base.
    has_tiers: bool,
    /// `override`, or the package that the row of the catalog is from.
    source: String,
    /// The day of the catalog's data, or of the override.
    date: String,
}

/// One price.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PriceBody {
    price: PriceView,
}

impl PriceView {
    fn new(provider: &str, model: &str, prices: &Prices, source: &str, date: &str) -> Self {
        let per_million = |picos| decimal(picos, PER_MILLION_SCALE);
        Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
            input_usd_per_million: per_million(prices.input),
            output_usd_per_million: per_million(prices.output),
            cache_read_usd_per_million: per_million(prices.cache_read),
            cache_write_usd_per_million: per_million(prices.cache_write_5m),
            reasoning_usd_per_million: per_million(prices.reasoning),
            per_request_usd: decimal(prices.per_request, PER_REQUEST_SCALE),
            has_tiers: false,
            source: source.to_owned(),
            date: date.to_owned(),
        }
    }

    /// A row of the catalog; `None` when its price is unknown.
    fn of_catalog(provider: &str, model: &str, info: &ModelInfo) -> Option<Self> {
        let price = info.price.as_ref()?;
        let (source, date) = info
            .provenance
            .map_or(("override", ""), |from| (from.source, from.date));
        Some(Self {
            has_tiers: !price.tiers.is_empty(),
            ..Self::new(provider, model, &price.base, source, date)
        })
    }
}

/// `units` of `10^-scale` as a JSON number with all its digits.
fn decimal(units: u64, scale: u32) -> Box<RawValue> {
    let factor = 10_u64.pow(scale);
    let width = usize::try_from(scale).unwrap_or_default();
    let text = format!("{}.{:0width$}", units / factor, units % factor);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    RawValue::from_string(text.to_owned()).unwrap_or_default()
}

macro_rules! prices {
    ($($(#[doc = $doc:literal])* $name:ident, $scale:ident, $finest:literal, $most:literal;)+) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        struct $name(u64);

        impl FromJson for $name {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                if node.kind() != "a number" {
                    node.wrong_type(problems, "a price in US dollars");
                    return None;
                }
                let picos = parse_scaled(node.raw.get(), $scale);
                let code = match picos {
                    Err(ParseUsdError::TooFine) => TOO_PRECISE,
                    _ => "invalid_value",
                };
                let picos = picos.ok().and_then(|picos| u64::try_from(picos).ok());
                let fits = picos.filter(|picos| *picos <= u64::from(u32::MAX) * 1_000_000);
                if fits.is_none() {
                    problems.push(
                        node.pointer.as_str(),
                        code,
                        concat!("a price is at least 0, at most ", $most, ", and no finer than ", $finest),
                    );
                }
                fits.map(Self)
            }

            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0.0)).maximum(Some($most)).into()
            }
        }
    )+};
}

prices! {
    /// US dollars for a million tokens, in pico-dollars a token.
    PerMillion, PER_MILLION_SCALE, "0.000001", 4_294_967_295.0;
    /// US dollars for a request, in pico-dollars.
    PerRequest, PER_REQUEST_SCALE, "0.000000000001", 4_294.967_295;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_have_all_their_digits() {
        for (units, scale, expect) in [
            (0, 6, "0"),
            (1, 6, "0.000001"),
            (2_500_000, 6, "2.5"),
            (10_000_000, 6, "10"),
            (1, 12, "0.000000000001"),
        ] {
            assert_eq!(decimal(units, scale).get(), expect);
        }
    }
}
