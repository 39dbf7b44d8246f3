//! From an answer to dollars: the adapter's kinds, at the prices that the vendor published.

use std::fs;

use bytes::Bytes;
use tollgate_domain::catalog::Catalog;
use tollgate_domain::provider::{Provider, ProviderType};
use tollgate_domain::{TokenUsage, Usd};
use tollgate_llm::stream::StreamMeter;
use tollgate_llm::usage::{self, UsageFormat};

use crate::golden::folder;

/// Answer, provider, model, and what it costs, summed up by hand from the vendor's page.
///
/// Sums are in millionths of a dollar: tokens of a kind times dollars for a million of them.
const COSTS: [(&str, &str, &str, &str, &str); 7] = [
    // Cached inside the input, reasoning inside the output, priority: 86 × 2.5 + 1,920 × 0.25 + 300 × 20.
    (
        "bodies",
        "openai/cached_and_reasoning.json",
        "openai",
        "gpt-5",
        "0.006695",
    ),
    // Cached inside, thoughts beside the output: 125 × 1.25 + 2,027 × 0.125 + (710 + 1,179) × 10.
    (
        "bodies",
        "gemini/thoughts_and_cache.json",
        "gemini",
        "gemini-2.5-pro",
        "0.019299625",
    ),
    // More than 200,000 tokens with what was cached, and priority: 150,000 × 4.5 + 100,000 × 0.45 + 3,000 × 27.
    (
        "bodies",
        "gemini/long_context_priority.json",
        "gemini",
        "gemini-2.5-pro",
        "0.801",
    ),
    // Cached and written beside the input; a batch that has no price of its own:
    // 2,048 × 15 + 1,800 × 1.5 + 456 × 18.75 + 100 × 30 + 503 × 75.
    (
        "bodies",
        "anthropic/cache_split.json",
        "anthropic",
        "claude-opus-4-1",
        "0.082695",
    ),
    // The last counts of the stream, the split of its first: 42 × 3 + 200 × 0.3 + 100 × 3.75 + 200 × 6 + 15 × 15.
    (
        "streams",
        "anthropic/message.sse",
        "anthropic",
        "claude-sonnet-4-5",
        "0.001986",
    ),
    // Only the last of the repeated reports: 100 + 100 of audio and 1,000 cached in, 5 and 40 of thoughts out.
    (
        "streams",
        "gemini/cached_audio_priority.sse",
        "gemini",
        "gemini-2.5-pro",
        "0.001485",
    ),
    // Repeated reports of 5 in and 2 out: 5 × 1.25 + 2 × 10.
    (
        "streams",
        "openai/cumulative_usage.sse",
        "openai",
        "gpt-5",
        "0.00002625",
    ),
];

fn usage_of(kind: &str, format: UsageFormat, answer: Vec<u8>) -> Option<TokenUsage> {
    if kind == "bodies" {
        return usage::from_body(format, &answer);
    }
    let mut meter = StreamMeter::new(format, false);
    meter.push(&Bytes::from(answer));
    meter.finish();
    meter.summary().usage
}

#[test]
fn answers_cost_what_their_vendors_ask() {
    for (kind, file, name, model, expected) in COSTS {
        let (vendor, file) = file.split_once('/').unwrap();
        let provider_kind = match vendor {
            "anthropic" => ProviderType::Anthropic,
            "gemini" => ProviderType::Gemini,
            _ => ProviderType::OpenAi,
        };
        let answer = fs::read(folder(kind, vendor).join(file)).unwrap();
        let usage = usage_of(kind, UsageFormat::of(provider_kind), answer).unwrap();
        let provider = Provider {
            name: name.parse().unwrap(),
            kind: provider_kind,
            is_keyless: true,
            network: None,
            keys: Vec::new(),
            meters: Vec::new(),
            revision: 0,
        };
        let info = Catalog::default().find(&provider, model).unwrap();
        let cost = info.price.as_ref().unwrap().cost(&usage);
        assert_eq!(cost, expected.parse::<Usd>().unwrap(), "{file}: {usage:?}");
    }
}
