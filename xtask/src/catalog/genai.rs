//! Reading the data inside the `genai-prices` package.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::decimal;
use super::row::{Row, Service, Tier, Unit};
use super::table::Table;
use crate::shell;

/// The package's provider names and ours. Providers that are not listed are left to overrides.
const PROVIDERS: [(&str, &str); 26] = [
    ("anthropic", "anthropic"),
    ("aws", "bedrock"),
    ("azure", "azure"),
    ("baseten", "baseten"),
    ("cerebras", "cerebras"),
    ("cloudflare", "cloudflare"),
    ("cohere", "cohere"),
    ("databricks", "databricks"),
    ("deepseek", "deepseek"),
    ("fireworks", "fireworks"),
    ("google", "gemini"),
    ("groq", "groq"),
    ("meta", "meta"),
    ("minimax", "minimax"),
    ("mistral", "mistral"),
    ("moonshotai", "moonshot"),
    ("novita", "novita"),
    ("openai", "openai"),
    ("openrouter", "openrouter"),
    ("ovhcloud", "ovhcloud"),
    ("perplexity", "perplexity"),
    ("together", "together"),
    ("voyageai", "voyage"),
    ("x-ai", "xai"),
    ("zai", "zai"),
    ("zhipuai", "bigmodel"),
];

/// Price keys, with the power of ten of the units that one price is for.
const KEYS: [(&str, Unit, i32); 9] = [
    ("input_mtok", Unit::Input, 6),
    ("output_mtok", Unit::Output, 6),
    ("cache_read_mtok", Unit::CacheRead, 6),
    ("cache_write_mtok", Unit::CacheWrite, 6),
    ("cache_write_1h_mtok", Unit::CacheWrite1h, 6),
    ("output_reasoning_mtok", Unit::Reasoning, 6),
    ("input_audio_mtok", Unit::AudioInput, 6),
    ("output_audio_mtok", Unit::AudioOutput, 6),
    ("requests_kcount", Unit::Request, 3),
];

#[derive(Deserialize)]
struct Provider {
    id: String,
    models: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    r#match: Value,
    context_window: Option<u64>,
    prices: Prices,
    price_variants: Option<Vec<Variant>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prices {
    Dated(Vec<Dated>),
    Plain(BTreeMap<String, Price>),
}

#[derive(Deserialize)]
struct Dated {
    constraint: Option<Constraint>,
    prices: BTreeMap<String, Price>,
}

#[derive(Deserialize)]
struct Variant {
    when: BTreeMap<String, String>,
    constraint: Option<Constraint>,
    prices: BTreeMap<String, Price>,
}

#[derive(Deserialize)]
struct Constraint {
    /// `2026-10-14`; absent for times of day.
    start_date: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Price {
    Flat(String),
    Tiered { base: String, tiers: Vec<Step> },
    Nothing,
}

#[derive(Deserialize)]
struct Step {
    start: u64,
    price: String,
}

/// The data as JSON, decimals as text.
pub(super) fn export(data: &Path) -> anyhow::Result<String> {
    shell::output(
        shell::command("python3")
            .args(["-c", include_str!("export.py")])
            .arg(data),
    )
}

/// Adds the models that the table does not know, and marks where it disagrees.
pub(super) fn add(json: &str, today: &str, table: &mut Table) -> anyhow::Result<()> {
    let providers: Vec<Provider> = serde_json::from_str(json)?;
    for Provider { id, models } in providers {
        let Some((_, provider)) = PROVIDERS.iter().find(|(theirs, _)| *theirs == id) else {
            continue;
        };
        for model in models {
            let row = convert(provider, &model, today)?;
            if row.prices.is_empty() {
                continue;
            }
            for name in names(&model) {
                let row = Row {
                    model: name,
                    ..row.clone()
                };
                match table.get_mut(provider, &row.model) {
                    Some(known) => compare(known, row),
                    None => table.add_new(row),
                }
            }
        }
    }
    Ok(())
}

fn convert(provider: &str, model: &Model, today: &str) -> anyhow::Result<Row> {
    let provider = if provider == "gemini" && model.id.starts_with("claude") {
        "vertex"
    } else {
        provider
    };
    let mut row = Row {
        provider: provider.to_owned(),
        model: model.id.clone(),
        context: model.context_window,
        source: "genai-prices",
        ..Row::default()
    };
    match &model.prices {
        Prices::Plain(prices) => set(&mut row, Service::Standard, prices)?,
        Prices::Dated(dated) => {
            // The last that holds wins; the first stands in when none does.
            let holds = |dated: &&Dated| is_active(dated.constraint.as_ref(), today);
            if let Some(current) = dated.iter().rev().find(holds).or_else(|| dated.first()) {
                set(&mut row, Service::Standard, &current.prices)?;
            }
        }
    }
    for variant in model.price_variants.iter().flatten() {
        let when: Vec<(&str, &str)> = variant
            .when
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let service = match when[..] {
            [("processing", "batch")] => Service::Batch,
            [("service_tier", "flex")] => Service::Flex,
            [("service_tier", "priority")] => Service::Priority,
            [("service_tier" | "speed", "fast")] => Service::Fast,
            _ => continue,
        };
        if is_active(variant.constraint.as_ref(), today) {
            set(&mut row, service, &variant.prices)?;
        }
    }
    let mode = if row.base(Unit::Output).is_some() {
        "chat"
    } else {
        "embedding"
    };
    mode.clone_into(&mut row.mode);
    row.forget_absurd();
    row.forget_zeros();
    row.forget_halves();
    Ok(row)
}

fn is_active(constraint: Option<&Constraint>, today: &str) -> bool {
    match constraint {
        None => true,
        Some(Constraint {
            start_date: Some(start),
        }) => start.as_str() <= today,
        // Times of day: the ordinary price is the safe one.
        Some(Constraint { start_date: None }) => false,
    }
}

fn set(row: &mut Row, service: Service, prices: &BTreeMap<String, Price>) -> anyhow::Result<()> {
    for (key, unit, per) in KEYS {
        match prices.get(key) {
            Some(Price::Flat(text)) => {
                row.set(Tier { above: 0, service }, unit, decimal::picos(text, per)?);
            }
            Some(Price::Tiered { base, tiers }) => {
                row.set(Tier { above: 0, service }, unit, decimal::picos(base, per)?);
                for step in tiers {
                    row.set(
                        Tier {
                            above: step.start,
                            service,
                        },
                        unit,
                        decimal::picos(&step.price, per)?,
                    );
                }
            }
            Some(Price::Nothing) | None => {}
        }
    }
    Ok(())
}

/// The id and every other name that means exactly this model.
fn names(model: &Model) -> Vec<String> {
    let mut names = vec![model.id.clone()];
    let choices = match model.r#match.get("or_").and_then(Value::as_array) {
        Some(choices) => choices.as_slice(),
        None => std::slice::from_ref(&model.r#match),
    };
    for choice in choices {
        if let Some(name) = choice.get("equals").and_then(Value::as_str)
            && !names.iter().any(|known| known.eq_ignore_ascii_case(name))
        {
            names.push(name.to_owned());
        }
    }
    names
}

/// Marks a row whose input or output price is another here; fills it when it has none.
fn compare(known: &mut Row, other: Row) {
    if known.prices.is_empty() {
        known.prices = other.prices;
        known.is_rounded |= other.is_rounded;
        known.source = other.source;
        return;
    }
    let differs = |unit| match (known.base(unit), other.base(unit)) {
        (Some(ours), Some(theirs)) => ours != theirs,
        _ => false,
    };
    known.is_disputed |= differs(Unit::Input) || differs(Unit::Output);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(model: &str, expect: &[&str]) {
        let json = format!(r#"[{{"id": "google", "models": [{model}]}}]"#);
        let mut table = Table::default();
        add(&json, "2026-11-24", &mut table).unwrap();
        let text = table.render(&[]);
        let rows: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(rows, expect);
    }

    #[test]
    fn prices_follow_their_dates_and_variants() {
        check(
            r#"{"id": "gemini-x", "context_window": 1000, "match": {"or_": [{"equals": "gemini-x-001"}, {"starts_with": "gemini-y"}]},
                "prices": [
                    {"constraint": null, "prices": {"input_mtok": "9", "output_mtok": "9"}},
                    {"constraint": {"start_date": "2026-10-14"}, "prices": {"input_mtok": {"base": "1.25", "tiers": [{"start": 200000, "price": "2.5"}]}, "output_mtok": "10"}},
                    {"constraint": {"start_date": "2027-01-01"}, "prices": {"input_mtok": "1", "output_mtok": "1"}}],
                "price_variants": [
                    {"when": {"processing": "batch"}, "prices": {"input_mtok": "0.625"}},
                    {"when": {"route": "eu"}, "prices": {"input_mtok": "7"}}]}"#,
            &[
                "gemini\tgemini-x\tchat\t1000\t\t\tgenai-prices\tin=1250000 out=10000000; batch in=625000; >200000 in=2500000",
                "gemini\tgemini-x-001\tchat\t1000\t\t\tgenai-prices\tin=1250000 out=10000000; batch in=625000; >200000 in=2500000",
            ],
        );
    }

    #[test]
    fn models_without_token_prices_are_left_out() {
        check(
            r#"{"id": "x", "match": {"equals": "x"}, "prices": {"audio_hours": "1"}}"#,
            &[],
        );
        check(
            r#"{"id": "x", "match": {"equals": "x"}, "prices": {"input_mtok": "0"}}"#,
            &[],
        );
    }

    #[test]
    fn disagreement_is_marked_and_a_gap_filled() {
        let row = |price: Option<u64>| {
            let mut row = Row {
                provider: "xai".to_owned(),
                model: "m".to_owned(),
                source: "litellm",
                ..Row::default()
            };
            if let Some(value) = price {
                row.set(
                    Tier::default(),
                    Unit::Input,
                    decimal::Picos {
                        value,
                        is_rounded: false,
                    },
                );
            }
            row
        };
        let mut known = row(Some(1));
        compare(&mut known, row(Some(1)));
        assert!(!known.is_disputed);
        compare(&mut known, row(Some(2)));
        assert!(known.is_disputed);
        let mut gap = row(None);
        compare(
            &mut gap,
            Row {
                source: "genai-prices",
                ..row(Some(3))
            },
        );
        assert_eq!(
            (gap.base(Unit::Input), gap.source),
            (Some(3), "genai-prices")
        );
    }
}
