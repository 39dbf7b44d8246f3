//! Requests in the other dialects: what is read, what is refused, what is changed.

use bytes::Bytes;
use proptest::prelude::*;
use tollgate_domain::GatewayError;
use tollgate_llm::{anthropic, gemini};

/// Each body with what `read` tells of it, or why it is refused.
fn told(bodies: &[&str], read: impl Fn(&[u8]) -> Result<String, GatewayError>) -> String {
    let lines: Vec<String> = bodies
        .iter()
        .map(|body| match read(body.as_bytes()) {
            Ok(told) => format!("{body}\n    {told}"),
            Err(error) => format!(
                "{body}\n    refused [{}] {}",
                error.param.unwrap_or_default(),
                error.message
            ),
        })
        .collect();
    lines.join("\n")
}

#[test]
fn messages_requests() {
    let bodies = [
        r#"{"model":"anthropic\/claude","max_tokens":100,"stream":true,"service_tier":"auto","messages":[{"role":"user","content":"Hi"}]}"#,
        r#"{"model":"c","max_tokens":null,"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}"#,
        r#"{"model":"c","messages":[{"content":[{"type":"tool_use","id":"1","name":"f","input":{"type":"image"}}]}]}"#,
        r#"{"model":"c","messages":[{"content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"base64"}}]}]}]}"#,
        r#"{"model":"c","messages":[{"content":[{"type":"document","source":{"type":"text","data":"x"}}]}]}"#,
        r#"{"model":"c","messages":[{"content":[{"type":"image","source":{"type":"url","url":"https://x"}}]}]}"#,
        r#"{"model":"c","messages":[{"content":[{"type":"something_new"}]}]}"#,
        r#"{"model":"c","tools":[{"name":"f","input_schema":{}},{"type":"custom","name":"g"},{"type":"bash_20250124","name":"bash"}]}"#,
        r#"{"model":"c","tools":[{"type":"web_search_20250305","name":"web_search"}]}"#,
        r#"{"model":"c","mcp_servers":[{"url":"https://x"}]}"#,
        r#"{"model":"c","mcp_servers":[],"container":null}"#,
        r#"{"max_tokens":1}"#,
        r#"{"model":"c","Model":"d"}"#,
        r#"{"model":"c","max_tokens":0}"#,
        r#"{"model":"c","stream":"yes"}"#,
        r#"{"model":"c","messages":{}}"#,
        r#"{"model":"c","messages":[{"content":[{"type":"text","Type":"image"}]}]}"#,
        "[]",
    ];
    let told = told(&bodies, |body| {
        anthropic::Envelope::parse(body).map(|envelope| {
            format!(
                "{} stream={} limit={:?} tier={:?} media={} unbounded={:?}",
                envelope.model,
                envelope.is_stream,
                envelope.max_output_tokens,
                envelope.service_tier,
                envelope.has_media,
                envelope.unbounded
            )
        })
    });
    insta::assert_snapshot!(told);
}

#[test]
fn messages_requests_are_spliced() {
    let spliced = |body: &str| {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let envelope = anthropic::Envelope::parse(&body).unwrap();
        String::from_utf8(anthropic::splice(&body, &envelope, "claude", Some(64)).to_vec()).unwrap()
    };
    assert_eq!(
        spliced(r#"{ "x":1.0, "model" : "a/claude" }"#),
        r#"{"max_tokens":64, "x":1.0, "model" : "claude" }"#
    );
    assert_eq!(
        spliced(r#"{"max_tokens": null,"model":"claude"}"#),
        r#"{"max_tokens": 64,"model":"claude"}"#
    );
    let unchanged = r#"{"max_tokens":5,"model":"claude"}"#;
    assert_eq!(spliced(unchanged), unchanged);
}

#[test]
fn generate_content_requests() {
    let bodies = [
        r#"{"contents":[{"parts":[{"text":"Hi"}],"role":"user"}],"generationConfig":{"maxOutputTokens":100,"candidateCount":2}}"#,
        r#"{"generation_config":{"max_output_tokens":100},"system_instruction":{"parts":[{"text":"x"}]}}"#,
        r#"{"contents":[{"parts":[{"functionCall":{"name":"f"}},{"function_response":{}},{"thought":true,"text":"x"}]}]}"#,
        r#"{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","data":"x"}}]}]}"#,
        r#"{"contents":[{"parts":[{"file_data":{"file_uri":"gs://x"}}]}]}"#,
        r#"{"systemInstruction":{"parts":[{"somethingNew":1}]}}"#,
        r#"{"tools":[{"functionDeclarations":[]}]}"#,
        r#"{"tools":[{"googleSearch":{}}]}"#,
        r#"{"cachedContent":"cachedContents/1"}"#,
        r#"{"cachedContent":null,"generationConfig":null}"#,
        r#"{"generationConfig":{},"generation_config":{}}"#,
        r#"{"generationConfig":{"maxOutputTokens":5,"max_output_tokens":9}}"#,
        r#"{"generationConfig":{"maxOutputTokens":5,"MaxOutputTokens":9}}"#,
        r#"{"generationConfig":{"maxOutputTokens":-5}}"#,
        r#"{"generationConfig":{"candidateCount":1000}}"#,
        r#"{"generationConfig":[]}"#,
        r#"{"contents":"Hi"}"#,
    ];
    let told = told(&bodies, |body| {
        gemini::Envelope::parse(body).map(|envelope| {
            format!(
                "limit={:?} choices={} media={} unbounded={:?}",
                envelope.max_output_tokens,
                envelope.choices,
                envelope.has_media,
                envelope.unbounded
            )
        })
    });
    insta::assert_snapshot!(told);
}

#[test]
fn generate_content_requests_are_spliced() {
    let cases = [
        ("{}", r#"{"generationConfig":{"maxOutputTokens":64}}"#),
        (
            r#"{"contents":[]}"#,
            r#"{"generationConfig":{"maxOutputTokens":64},"contents":[]}"#,
        ),
        (
            r#"{"generation_config": null}"#,
            r#"{"generation_config": {"maxOutputTokens":64}}"#,
        ),
        (
            r#"{"generationConfig":{ }}"#,
            r#"{"generationConfig":{"maxOutputTokens":64 }}"#,
        ),
        (
            r#"{"generationConfig":{"topK":1}}"#,
            r#"{"generationConfig":{"maxOutputTokens":64,"topK":1}}"#,
        ),
        (
            r#"{"generationConfig":{"max_output_tokens":null}}"#,
            r#"{"generationConfig":{"max_output_tokens":64}}"#,
        ),
        (
            r#"{"generationConfig":{"maxOutputTokens":9}}"#,
            r#"{"generationConfig":{"maxOutputTokens":9}}"#,
        ),
    ];
    for (body, expected) in cases {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let envelope = gemini::Envelope::parse(&body).unwrap();
        assert_eq!(gemini::splice(&body, &envelope, Some(64)), expected);
        assert_eq!(gemini::splice(&body, &envelope, None), body);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100), text in "[{}\\[\\]\":, modelcntsp0-9]{0,80}") {
        for body in [&bytes[..], text.as_bytes()] {
            let _ = anthropic::Envelope::parse(body);
            let _ = gemini::Envelope::parse(body);
        }
    }
}
