//! How often the hot path asks for memory. The figures are exact and the same on every machine, unlike times: a larger
//! one is a change to think about, a smaller one a reason to lower it here.

use allocation_counter::measure;
use bytes::Bytes;
use tollgate_domain::access::Endpoint;
use tollgate_llm::openai::{Edits, Envelope, splice};
use tollgate_llm::stream::StreamMeter;
use tollgate_llm::usage::{self, UsageFormat};

const CHAT: &str = r#"{"model":"openai/gpt-5-mini","messages":[
    {"role":"system","content":"You are a helpful assistant.\nBe brief."},
    {"role":"user","content":[{"type":"text","text":"Say \"hello\"."}]}],
    "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],
    "temperature":0.7,"max_tokens":128,"stream":true,"stream_options":{"include_usage":false},"user":"u-1"}"#;

#[track_caller]
fn assert_allocations<T>(expected: u64, work: impl FnOnce() -> T) {
    let mut kept = None;
    let counted = measure(|| kept = Some(work()));
    assert_eq!(counted.count_total, expected);
    drop(kept);
}

#[test]
fn reading_a_request() {
    let plain = CHAT.replace(
        r#"[{"type":"text","text":"Say \"hello\"."}]"#,
        r#""Say \"hello\".""#,
    );
    // The parser's stack, for the brackets in what it skips.
    assert_allocations(1, || {
        Envelope::parse(Endpoint::ChatCompletions, plain.as_bytes())
    });
    // And one for the list of parts.
    assert_allocations(2, || {
        Envelope::parse(Endpoint::ChatCompletions, CHAT.as_bytes())
    });
    let embeddings = br#"{"model":"openai/text-embedding-3-small","input":["a","b"],"encoding_format":"base64"}"#;
    assert_allocations(0, || Envelope::parse(Endpoint::Embeddings, embeddings));
}

#[test]
fn splicing_a_request() {
    let body = Bytes::from_static(CHAT.as_bytes());
    let envelope = Envelope::parse(Endpoint::ChatCompletions, &body).unwrap();
    let edits = |model| Edits {
        model,
        ask_for_usage: false,
        output_limit: None,
    };
    assert_allocations(0, || splice(&body, &envelope, &edits("openai/gpt-5-mini")));
    // The quoted name and the new body.
    assert_allocations(2, || splice(&body, &envelope, &edits("gpt-5-mini")));
}

#[test]
fn reading_the_usage_of_an_answer() {
    let body = include_bytes!("../golden/bodies/openai/chat.json");
    let read = || usage::from_body(UsageFormat::OpenAi, body);
    assert!(read().is_some());
    // The name of the service tier.
    assert_allocations(1, read);
}

#[test]
fn metering_a_stream() {
    let stream = include_bytes!("../golden/streams/openai/chat.sse");
    let events: Vec<Bytes> = stream
        .split_inclusive(|byte| *byte == b'\n')
        .collect::<Vec<_>>()
        .chunks(2)
        .map(|lines| Bytes::from(lines.concat()))
        .collect();
    let mut meter = StreamMeter::new(UsageFormat::OpenAi, true);
    // The first time, the searchers are made.
    meter.push(&events[0]);
    for (index, event) in events.iter().enumerate() {
        // Sharing a buffer for the first time makes its counter.
        let _shared = event.clone();
        // For a report of usage, the parser's stack.
        let most = u64::from(index == 4);
        assert_allocations(most, || meter.push(event));
    }
    let summary = meter.summary();
    assert!(summary.usage.is_some() && summary.end.is_some());
}
