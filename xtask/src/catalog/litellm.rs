//! Reading the model table inside the `litellm` package.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::decimal;
use super::row::{Row, Service, Tier, Unit};
use super::table::Table;

/// Modes whose price is made of tokens and calls.
const MODES: [&str; 8] = [
    "audio_speech",
    "audio_transcription",
    "chat",
    "completion",
    "embedding",
    "moderation",
    "realtime",
    "responses",
];

/// Providers that run on the operator's own machine, where zero is the price and not a gap.
const LOCAL: [&str; 2] = ["lemonade", "ollama"];

/// Resellers whose table is a copy of others, and entries that are flat-rate subscriptions.
const SKIPPED: [&str; 5] = [
    "aihubmix",
    "chatgpt",
    "github_copilot",
    "microsoft_365_copilot",
    "text-completion-codestral",
];

/// The table's provider names and ours, where they differ.
const PROVIDERS: [(&str, &str); 16] = [
    ("amazon_nova", "amazon-nova"),
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("featherless_ai", "featherless"),
    ("fireworks_ai", "fireworks"),
    ("fireworks_ai-embedding-models", "fireworks"),
    ("gradient_ai", "gradient"),
    ("lambda_ai", "lambda"),
    ("text-completion-inception", "inception"),
    ("text-completion-openai", "openai"),
    ("together_ai", "together"),
    ("vercel_ai_gateway", "vercel"),
    ("vertex_ai", "vertex"),
    ("volcengine", "volcengine"),
    ("xiaomi_mimo", "xiaomi"),
];

/// First parts of a key that name a region or a commitment, not a model that can be asked for.
const REGIONS: [&str; 8] = [
    "*",
    "eu",
    "global",
    "global-standard",
    "invoke",
    "standard",
    "us",
    "us-gov",
];

/// Base names of price fields; a suffix names the tier.
const FIELDS: [(&str, Unit); 11] = [
    (
        "cache_creation_input_token_cost_above_1hr",
        Unit::CacheWrite1h,
    ),
    ("cache_creation_input_token_cost", Unit::CacheWrite),
    ("cache_read_input_token_cost", Unit::CacheRead),
    ("input_cost_per_token_cache_hit", Unit::CacheRead),
    ("input_cost_per_audio_token", Unit::AudioInput),
    ("input_cost_per_query", Unit::Request),
    ("input_cost_per_request", Unit::Request),
    ("input_cost_per_token", Unit::Input),
    ("output_cost_per_audio_token", Unit::AudioOutput),
    ("output_cost_per_reasoning_token", Unit::Reasoning),
    ("output_cost_per_token", Unit::Output),
];

const CAPABILITIES: [(&str, char); 4] = [
    ("supports_reasoning", 'r'),
    ("supports_function_calling", 't'),
    ("supports_vision", 'v'),
    ("supports_response_schema", 's'),
];

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Adds every model whose price is made of tokens.
pub(super) fn add(json: &str, table: &mut Table) -> anyhow::Result<()> {
    let entries: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
    // A key with its provider in front is more specific than a bare one, and is taken first.
    let (prefixed, bare): (Vec<_>, Vec<_>) = entries.iter().partition(|(key, _)| key.contains('/'));
    for (key, entry) in prefixed.into_iter().chain(bare) {
        let fields: Fields<'_> = serde_json::from_str(entry.get())?;
        if let Some(row) = convert(key, &fields)? {
            table.add_new(row);
        }
    }
    Ok(())
}

fn convert(key: &str, fields: &Fields<'_>) -> anyhow::Result<Option<Row>> {
    let text = |name: &str| {
        fields
            .get(name)
            .map(|raw| raw.get().trim_matches('"').to_owned())
    };
    let (Some(theirs), Some(mode)) = (text("litellm_provider"), text("mode")) else {
        return Ok(None);
    };
    if !MODES.contains(&mode.as_str()) || SKIPPED.contains(&theirs.as_str()) {
        return Ok(None);
    }
    let Some(model) = model_name(key, &theirs) else {
        return Ok(None);
    };
    let mut row = Row {
        provider: provider_name(&theirs).to_owned(),
        model: model.to_owned(),
        context: count(fields, "max_input_tokens"),
        max_output: count(fields, "max_output_tokens").filter(|_| mode != "embedding"),
        mode,
        source: "litellm",
        ..Row::default()
    };
    for (name, letter) in CAPABILITIES {
        if fields.get(name).is_some_and(|raw| raw.get() == "true") {
            row.capabilities.push(letter);
        }
    }
    for (name, value) in fields {
        if let Some((unit, tier)) = price_field(name) {
            row.set(tier, unit, decimal::picos(value.get(), 0)?);
        }
    }
    if let Some(tiers) = fields.get("tiered_pricing") {
        add_ranges(&mut row, tiers)?;
    }
    row.forget_absurd();
    if !LOCAL.contains(&row.provider.as_str()) {
        row.forget_zeros();
        row.forget_halves();
    }
    let is_useful = !row.prices.is_empty() || row.context.is_some() || row.max_output.is_some();
    Ok(is_useful.then_some(row))
}

fn provider_name(theirs: &str) -> &str {
    // `vertex_ai-anthropic_models`, `vertex_ai-language-models` and so on.
    if theirs.starts_with("vertex_ai") {
        return "vertex";
    }
    PROVIDERS
        .iter()
        .find(|(name, _)| *name == theirs)
        .map_or(theirs, |(_, ours)| ours)
}

/// The model's name at its provider; `None` when the key is a variant that cannot be asked for.
fn model_name<'a>(key: &'a str, provider: &str) -> Option<&'a str> {
    let family = provider.split('-').next().unwrap_or(provider);
    let prefixes = [
        provider,
        family,
        "bedrock",
        "azure",
        "azure_ai",
        "amazon-nova",
    ];
    let name = match key.split_once('/') {
        Some((first, rest)) if prefixes.contains(&first) => rest,
        _ => key,
    };
    let first = name.split_once('/').map(|(first, _)| first);
    let is_region = |part: &str| {
        REGIONS.contains(&part)
            // eu-central-1, us-gov-west-1
            || (part.ends_with(|c: char| c.is_ascii_digit()) && part.matches('-').count() >= 2 && provider.starts_with("bedrock"))
    };
    (!first.is_some_and(is_region)).then_some(name)
}

fn count(fields: &Fields<'_>, name: &str) -> Option<u64> {
    // Some counts are written as `256000.0`.
    let text = fields.get(name)?.get().trim_matches('"');
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse().ok().filter(|count| *count > 0)
}

/// Reads `input_cost_per_token_above_272k_tokens_priority`.
fn price_field(name: &str) -> Option<(Unit, Tier)> {
    let (base, unit) = FIELDS.into_iter().find(|(base, _)| {
        name.strip_prefix(base)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })?;
    let mut rest = &name[base.len()..];
    let mut tier = Tier::default();
    if let Some(after) = rest.strip_prefix("_above_") {
        let (thousands, after) = after.split_once("k_tokens")?;
        tier.above = thousands.parse::<u64>().ok()? * 1_000;
        rest = after;
    }
    tier.service = match rest {
        "" => Service::Standard,
        "_batches" => Service::Batch,
        "_flex" => Service::Flex,
        "_priority" => Service::Priority,
        "_ultrafast" => Service::Fast,
        // Twelve-hour caches, decisions: nothing an answer tells us.
        _ => return None,
    };
    Some((unit, tier))
}

/// Reads `[{"range": [0, 256000], "input_cost_per_token": …}, …]`.
fn add_ranges(row: &mut Row, ranges: &RawValue) -> anyhow::Result<()> {
    let ranges: Vec<Fields<'_>> = serde_json::from_str(ranges.get())?;
    for fields in ranges {
        let Some(range) = fields.get("range") else {
            continue;
        };
        let bounds: Vec<&RawValue> = serde_json::from_str(range.get())?;
        let from = bounds.first().map_or("0", |raw| raw.get());
        let above = from.split('.').next().unwrap_or(from).parse()?;
        for (name, value) in &fields {
            if let Some((unit, tier)) = price_field(name) {
                row.set(
                    Tier { above, ..tier },
                    unit,
                    decimal::picos(value.get(), 0)?,
                );
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, entry: &str, expect: Option<&str>) {
        let fields = serde_json::from_str(entry).unwrap();
        let row = convert(key, &fields).unwrap().map(|row| row.render());
        assert_eq!(row.as_deref(), expect, "{key}");
    }

    #[test]
    fn tiers_follow_the_suffixes() {
        check(
            "gpt-x",
            r#"{"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1050000, "max_output_tokens": 128000,
               "input_cost_per_token": 2.5e-06, "input_cost_per_token_batches": 1.25e-06,
               "input_cost_per_token_above_272k_tokens_priority": 1e-05, "output_cost_per_token": "0.000015",
               "cache_read_input_token_cost": 2.5e-07, "supports_reasoning": true, "supports_vision": false}"#,
            Some(
                "openai\tgpt-x\tchat\t1050000\t128000\tr\tlitellm\tin=2500000 out=15000000 read=250000; \
                 batch in=1250000; priority>272000 in=10000000",
            ),
        );
    }

    #[test]
    fn cache_writes_know_their_duration() {
        let field = |name| price_field(name).map(|(unit, tier)| (unit, tier.above));
        assert_eq!(
            field("cache_creation_input_token_cost"),
            Some((Unit::CacheWrite, 0))
        );
        assert_eq!(
            field("cache_creation_input_token_cost_above_1hr_above_200k_tokens"),
            Some((Unit::CacheWrite1h, 200_000))
        );
        assert_eq!(field("cache_creation_input_token_cost_above_12hr"), None);
        assert_eq!(field("input_cost_per_token_decisions"), None);
        assert_eq!(field("input_cost_per_tokens"), None);
    }

    #[test]
    fn ranges_become_context_tiers() {
        check(
            "dashscope/qwen-x",
            r#"{"litellm_provider": "dashscope", "mode": "chat", "tiered_pricing": [
                {"range": [0, 256000.0], "input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07},
                {"range": [256000.0, 1000000.0], "input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06}]}"#,
            Some(
                "dashscope\tqwen-x\tchat\t\t\t\tlitellm\tin=50000 out=400000; >256000 in=250000 out=2000000",
            ),
        );
    }

    #[test]
    fn zero_is_a_price_only_on_the_own_machine() {
        let free = |provider: &str| {
            format!(
                r#"{{"litellm_provider": "{provider}", "mode": "chat", "max_output_tokens": 8,
                    "input_cost_per_token": 0, "output_cost_per_token": 0.0}}"#
            )
        };
        check("zai/x", &free("zai"), Some("zai\tx\tchat\t\t8\t\tlitellm"));
        check(
            "ollama/x",
            &free("ollama"),
            Some("ollama\tx\tchat\t\t8\t\tlitellm\tin=0 out=0"),
        );
    }

    #[test]
    fn names_are_those_of_the_provider() {
        let name = |key, provider| model_name(key, provider).map(str::to_owned);
        assert_eq!(
            name("vertex_ai/claude@1", "vertex_ai-anthropic_models").unwrap(),
            "claude@1"
        );
        assert_eq!(name("groq/meta/llama", "groq").unwrap(), "meta/llama");
        assert_eq!(
            name("us.anthropic.claude-v1:0", "bedrock_converse").unwrap(),
            "us.anthropic.claude-v1:0"
        );
        assert_eq!(
            name("bedrock/us-east-1/anthropic.claude-v1", "bedrock"),
            None
        );
        assert_eq!(name("azure/eu/gpt-4o", "azure"), None);
    }
}
