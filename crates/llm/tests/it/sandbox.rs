//! The built-in provider, as a client sees it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_domain::Timestamp;
use tollgate_domain::access::Endpoint;
use tollgate_domain::catalog::Catalog;
use tollgate_domain::provider::{Provider, ProviderType};
use tollgate_llm::sandbox::{self, SandboxAnswer};
use tollgate_llm::stream::{StreamEnd, StreamMeter};
use tollgate_llm::usage::{self, UsageFormat};

fn ask(endpoint: Endpoint, body: &Value) -> SandboxAnswer {
    let now = Timestamp::from_micros(1_790_000_000_000_000);
    sandbox::answer(endpoint, body.to_string().as_bytes(), "req_1", now)
}

fn whole(answer: SandboxAnswer) -> Vec<u8> {
    answer.body.flatten().collect()
}

fn chat(body: &Value) -> Value {
    let answer = ask(Endpoint::ChatCompletions, body);
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&whole(answer)).unwrap()
}

/// The data of every event but the last, which has to be the end.
fn events(body: &Value) -> Vec<Value> {
    let answer = ask(Endpoint::ChatCompletions, body);
    assert_eq!(
        (answer.status, answer.content_type),
        (200, "text/event-stream")
    );
    let pieces: Vec<_> = answer.body.collect();
    let (last, events) = pieces.split_last().unwrap();
    assert_eq!(&last[..], b"data: [DONE]\n\n");
    events
        .iter()
        .map(|event| {
            let text = std::str::from_utf8(event).unwrap();
            let data = text.strip_prefix("data: ").unwrap();
            serde_json::from_str(data.strip_suffix("\n\n").unwrap()).unwrap()
        })
        .collect()
}

#[test]
fn a_chat_answer_has_openais_shape() {
    let answer = chat(&json!({
        "model": "sandbox-small",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello, world!"}],
    }));
    insta::assert_json_snapshot!(answer);
}

#[test]
fn a_streamed_answer_says_the_same_as_a_plain_one() {
    for model in ["sandbox-small", "sandbox-large"] {
        let mut body = json!({
            "model": model, "n": 2, "max_tokens": 20,
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Grüße aus \"Köln\"\n"}]}],
        });
        let plain = chat(&body);
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
        let events = events(&body);
        let mut texts = BTreeMap::<u64, String>::new();
        let mut reasons = BTreeMap::<u64, Value>::new();
        for choice in events
            .iter()
            .flat_map(|event| event["choices"].as_array().unwrap())
        {
            let index = choice["index"].as_u64().unwrap();
            texts
                .entry(index)
                .or_default()
                .push_str(choice["delta"]["content"].as_str().unwrap_or_default());
            if !choice["finish_reason"].is_null() {
                reasons.insert(index, choice["finish_reason"].clone());
            }
        }
        for index in 0..2 {
            let told = &plain["choices"][usize::try_from(index).unwrap()];
            assert_eq!(texts[&index], told["message"]["content"].as_str().unwrap());
            assert_eq!(reasons[&index], told["finish_reason"]);
        }
        assert_eq!(events.last().unwrap()["usage"], plain["usage"]);
    }
}

#[test]
fn the_output_limit_holds_for_each_choice() {
    let answer = chat(&json!({
        "model": "sandbox-large", "n": 3, "max_completion_tokens": 5,
        "messages": [{"role": "user", "content": "Hello"}],
    }));
    assert_eq!(answer["usage"]["completion_tokens"], 15);
    assert_eq!(answer["choices"][2]["finish_reason"], "length");
    let text = answer["choices"][2]["message"]["content"].as_str().unwrap();
    assert_eq!(sandbox::count_tokens(text), 5);
}

#[test]
fn a_stop_sequence_ends_the_text() {
    let answer = chat(&json!({
        "model": "sandbox-small", "stop": ["three", "two"],
        "messages": [{"role": "user", "content": "one two three"}],
    }));
    assert_eq!(answer["choices"][0]["message"]["content"], "one ");
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
}

#[test]
fn a_forced_tool_is_called_plain_and_streamed() {
    let mut body = json!({
        "model": "sandbox-small",
        "messages": [{"role": "user", "content": "Berlin"}],
        "tools": [
            {"type": "function", "function": {"name": "time"}},
            {"type": "function", "function": {"name": "weather", "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
            }}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    });
    let answer = chat(&body);
    insta::assert_json_snapshot!(answer["choices"]);
    body["stream"] = true.into();
    let streamed: String = events(&body)
        .iter()
        .filter_map(|event| {
            event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str()
        })
        .collect();
    assert_eq!(streamed, r#"{"city":"Berlin"}"#);

    body["tool_choice"] = "auto".into();
    assert_eq!(
        events(&body).last().unwrap()["choices"][0]["finish_reason"],
        "stop"
    );
    body["tool_choice"] = "required".into();
    body["stream"] = false.into();
    let called = &chat(&body)["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(called["function"]["name"], "time");
}

#[test]
fn a_structured_answer_fits_its_schema() {
    let answer = chat(&json!({
        "model": "sandbox-small",
        "messages": [{"role": "user", "content": "red"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": {
            "type": "object", "properties": {"color": {"type": "string"}},
        }}},
    }));
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        r#"{"color":"red"}"#
    );
}

#[test]
fn our_own_adapters_read_its_usage() {
    let mut body = json!({"model": "sandbox-small", "messages": [{"role": "user", "content": "Hello, world!"}]});
    let plain = whole(ask(Endpoint::ChatCompletions, &body));
    let reported = usage::from_body(UsageFormat::OpenAi, &plain).unwrap();
    assert_eq!((reported.total_input(), reported.total_output()), (12, 6));

    body["stream"] = true.into();
    body["stream_options"] = json!({"include_usage": true});
    let mut meter = StreamMeter::new(UsageFormat::OpenAi, true);
    for piece in ask(Endpoint::ChatCompletions, &body).body {
        meter.push(&piece);
    }
    let summary = meter.summary();
    assert_eq!(summary.usage, Some(reported));
    assert_eq!(summary.end, Some(StreamEnd::Done));
    assert_eq!(summary.text_bytes, 13);
}

fn embed(body: &Value) -> Value {
    let answer = ask(Endpoint::Embeddings, body);
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&whole(answer)).unwrap()
}

fn vector(value: &Value) -> Vec<f64> {
    value["embedding"]
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

#[test]
fn embeddings_are_unit_vectors_that_know_words() {
    let answer = embed(&json!({
        "model": "sandbox-embedding", "dimensions": 64,
        "input": ["the cat sat", "The cat sat!", "quarterly revenue", ""],
    }));
    let vectors: Vec<Vec<f64>> = answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(vector)
        .collect();
    let dot = |a: usize, b: usize| -> f64 {
        vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum()
    };
    for (index, vector) in vectors.iter().enumerate() {
        assert_eq!(vector.len(), 64);
        assert!((dot(index, index) - 1.0).abs() < 1e-5);
    }
    assert!(dot(0, 1) > 0.99);
    assert!(dot(0, 2) < 0.7);
    assert_eq!(
        answer["usage"],
        json!({"prompt_tokens": 13, "total_tokens": 13})
    );
}

#[test]
fn embeddings_come_as_base64_too() {
    use base64::Engine;
    let mut body = json!({"model": "sandbox-embedding", "dimensions": 8, "input": "Hello"});
    let plain = embed(&body);
    body["encoding_format"] = "base64".into();
    let encoded = embed(&body);
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(encoded["data"][0]["embedding"].as_str().unwrap())
        .unwrap();
    let decoded: Vec<f64> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|chunk| f64::from(f32::from_le_bytes(*chunk)))
        .collect();
    for (plain, decoded) in vector(&plain["data"][0]).iter().zip(&decoded) {
        assert!((plain - decoded).abs() < 1e-6);
    }
    assert_eq!(decoded.len(), 8);
}

#[test]
fn what_it_does_not_serve_is_refused_as_a_provider_would() {
    let refused = |endpoint, body: Value| {
        let answer = ask(endpoint, &body);
        let status = answer.status;
        let body: Value = serde_json::from_slice(&whole(answer)).unwrap();
        format!(
            "{status} {} {}",
            body["error"]["code"], body["error"]["message"]
        )
    };
    let message = json!([{"role": "user", "content": "x"}]);
    let refusals = [
        refused(
            Endpoint::ChatCompletions,
            json!({"model": "gpt-5", "messages": message}),
        ),
        refused(
            Endpoint::ChatCompletions,
            json!({"model": "sandbox-embedding", "messages": message}),
        ),
        refused(
            Endpoint::ChatCompletions,
            json!({"model": "sandbox-small", "messages": []}),
        ),
        refused(
            Endpoint::ChatCompletions,
            json!({"model": "sandbox-small", "messages": message, "n": 1000}),
        ),
        refused(
            Endpoint::Embeddings,
            json!({"model": "sandbox-small", "input": "x"}),
        ),
        refused(
            Endpoint::Embeddings,
            json!({"model": "sandbox-embedding", "input": []}),
        ),
        refused(
            Endpoint::Embeddings,
            json!({"model": "sandbox-embedding", "input": "x", "dimensions": 0}),
        ),
        refused(Endpoint::Embeddings, json!([])),
    ];
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn every_model_has_a_price() {
    let provider = Provider {
        name: "sandbox".parse().unwrap(),
        kind: ProviderType::Sandbox,
        is_keyless: true,
        network: None,
        keys: Vec::new(),
        meters: Vec::new(),
        revision: 1,
    };
    let catalog = Catalog::default();
    for model in sandbox::MODELS {
        let info: Arc<_> = catalog.find(&provider, model).unwrap();
        assert!(info.price.is_some(), "{model}");
    }
}

mod properties {
    use proptest::prelude::*;
    use tollgate_domain::Timestamp;
    use tollgate_domain::access::Endpoint;

    use super::sandbox;

    proptest! {
        #[test]
        fn no_request_panics(
            members in proptest::collection::vec(
                (
                    prop_oneof![
                        Just("model"), Just("messages"), Just("input"), Just("n"), Just("stream"),
                        Just("max_tokens"), Just("tools"), Just("tool_choice"), Just("dimensions"),
                        Just("response_format"), Just("stop"), Just("encoding_format"),
                    ],
                    prop_oneof![
                        Just(r#""sandbox-small""#), Just(r#""sandbox-embedding""#), Just("2"), Just("0"),
                        Just("true"), Just("null"), Just("-1"), Just("18446744073709551615"), Just("[]"),
                        Just(r#"[{"role":"user","content":"ä b"}]"#), Just(r#"["a",""]"#), Just("[1,2]"),
                        Just(r#"[{"function":{"name":"f","parameters":{"$ref":"x"}}}]"#),
                        Just(r#""required""#), Just(r#""base64""#),
                        Just(r#"{"type":"json_schema","json_schema":{"schema":{"type":["array"]}}}"#),
                    ],
                ),
                0..8,
            ),
        ) {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("\"{name}\":{value}"))
                .collect();
            let body = format!("{{{}}}", members.join(","));
            for endpoint in [Endpoint::ChatCompletions, Endpoint::Embeddings] {
                let now = Timestamp::from_micros(0);
                let answer = sandbox::answer(endpoint, body.as_bytes(), "req_1", now);
                prop_assert!(matches!(answer.status, 200 | 400 | 404));
                prop_assert!(answer.body.map(|piece| piece.len()).sum::<usize>() > 0);
            }
        }
    }
}
