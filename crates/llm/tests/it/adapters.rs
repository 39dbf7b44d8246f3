//! What holds of every usage report, whatever numbers are in it.

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_domain::TokenUsage;
use tollgate_domain::usage::ServiceTier;
use tollgate_llm::usage::{self, UsageCollector, UsageFormat};

/// A number that may stand in a report, or should not.
fn numbers() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => (0_u64..1_000).prop_map(Value::from),
        1 => Just(json!(1_u64 << 53)),
        1 => Just(Value::Null),
        1 => prop_oneof![
            Just(json!(-1)),
            Just(json!(1.5)),
            Just(json!(u64::MAX)),
            Just(json!("7")),
            Just(json!({"a": [1]})),
        ],
    ]
}

fn read(format: UsageFormat, report: &Value) -> Option<TokenUsage> {
    let key = match format {
        UsageFormat::OpenAi | UsageFormat::Anthropic => "usage",
        UsageFormat::Gemini => "usageMetadata",
    };
    let body = json!({ key: report }).to_string();
    let whole = usage::from_body(format, body.as_bytes());
    let mut collector = UsageCollector::new(format);
    collector.read_event(body.as_bytes());
    assert_eq!(
        collector.usage(),
        whole,
        "a stream and a body are read alike"
    );
    whole
}

fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

proptest! {
    #[test]
    fn openai_parts_add_up_to_the_whole(
        n in proptest::collection::vec(numbers(), 9),
    ) {
        let usage = read(UsageFormat::OpenAi, &json!({
            "prompt_tokens": n[0], "completion_tokens": n[1], "total_tokens": n[2],
            "prompt_tokens_details": {
                "cached_tokens": n[3], "cache_write_tokens": n[4], "audio_tokens": n[5],
            },
            "completion_tokens_details": {"reasoning_tokens": n[6], "audio_tokens": n[7]},
            "prompt_cache_hit_tokens": n[8],
        }));
        if let Some(usage) = usage {
            prop_assert_eq!(usage.total_input(), count(&n[0]));
            let beyond = count(&n[2]).saturating_sub(count(&n[0]) + count(&n[1]));
            prop_assert_eq!(usage.total_output(), count(&n[1]) + beyond);
        }
    }

    #[test]
    fn anthropic_parts_are_beside_each_other(
        n in proptest::collection::vec(numbers(), 6),
    ) {
        let usage = read(UsageFormat::Anthropic, &json!({
            "input_tokens": n[0], "output_tokens": n[1],
            "cache_read_input_tokens": n[2], "cache_creation_input_tokens": n[3],
            "cache_creation": {"ephemeral_5m_input_tokens": n[4], "ephemeral_1h_input_tokens": n[5]},
        }));
        if let Some(usage) = usage {
            let written = count(&n[3]).max(count(&n[4]) + count(&n[5]));
            prop_assert_eq!(usage.total_input(), count(&n[0]) + count(&n[2]) + written);
            prop_assert_eq!(usage.total_output(), count(&n[1]));
        }
    }

    #[test]
    fn gemini_adds_thoughts_and_tool_results(
        n in proptest::collection::vec(numbers(), 8),
    ) {
        let usage = read(UsageFormat::Gemini, &json!({
            "promptTokenCount": n[0], "candidatesTokenCount": n[1], "thoughtsTokenCount": n[2],
            "toolUsePromptTokenCount": n[3], "cachedContentTokenCount": n[4],
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": n[5]}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": n[6]}],
            "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": n[7]}, {}],
        }));
        if let Some(usage) = usage {
            prop_assert_eq!(usage.total_input(), count(&n[0]) + count(&n[3]));
            prop_assert_eq!(usage.total_output(), count(&n[1]) + count(&n[2]));
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[\"usage{}:\\[\\], 0-9.-]{0,80}") {
        for format in [UsageFormat::OpenAi, UsageFormat::Anthropic, UsageFormat::Gemini] {
            let mut collector = UsageCollector::new(format);
            for data in [&bytes[..], text.as_bytes()] {
                let _ = usage::from_body(format, data);
                collector.read_event(data);
                let _ = collector.usage();
            }
        }
    }
}

/// A tier that the catalog prices and no adapter reads would be charged at the standard price.
#[test]
fn every_tier_is_read_by_its_name() {
    for tier in ServiceTier::ALL {
        let name = tier.as_str();
        let body = format!(r#"{{"service_tier":"{name}","usage":{{"prompt_tokens":1}}}}"#);
        let read = usage::from_body(UsageFormat::OpenAi, body.as_bytes()).unwrap();
        assert_eq!(read.tier, tier, "{name}");
        let body = format!(r#"{{"usage":{{"input_tokens":1,"service_tier":"{name}"}}}}"#);
        let read = usage::from_body(UsageFormat::Anthropic, body.as_bytes()).unwrap();
        assert_eq!(read.tier, tier, "{name}");
    }
    let body = br#"{"usage":{"input_tokens":1,"service_tier":"standard","speed":"fast"}}"#;
    let read = usage::from_body(UsageFormat::Anthropic, body).unwrap();
    assert_eq!(read.tier, ServiceTier::Fast);
}

/// A later part of a report replaces an earlier one; what it does not name stays.
#[test]
fn anthropic_reports_are_merged_field_by_field() {
    let mut collector = UsageCollector::new(UsageFormat::Anthropic);
    collector.read_event(
        br#"{"message":{"usage":{"input_tokens":10,"cache_read_input_tokens":5,"output_tokens":1,"service_tier":"batch"}}}"#,
    );
    collector.read_event(br#"{"usage":{"output_tokens":40}}"#);
    collector.read_event(br#"{"usage":{"output_tokens":60,"input_tokens":null}}"#);
    let usage = collector.usage().unwrap();
    assert_eq!((usage.input, usage.cache_read, usage.output), (10, 5, 60));
    assert_eq!(usage.tier, ServiceTier::Batch);
}
