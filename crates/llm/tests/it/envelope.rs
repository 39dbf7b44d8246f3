//! What is read of a request, and what is refused.

use proptest::prelude::*;
use tollgate_domain::access::Endpoint;
use tollgate_llm::openai::Envelope;
use tollgate_llm::{MAX_DEPTH, MAX_MODEL_BYTES};

fn parse(body: &str) -> Result<Envelope<'_>, String> {
    Envelope::parse(Endpoint::ChatCompletions, body.as_bytes()).map_err(|error| {
        assert_eq!(error.kind.status(), 400);
        match error.param {
            Some(param) => format!("[{param}] {}", error.message),
            None => error.message,
        }
    })
}

#[test]
fn the_governed_fields_are_read() {
    let body = r#" {"messages":[{"role":"user","content":"Hi"}],"model":"openai\/gpt-5","stream":true,
        "stream_options":{"include_usage":true},"max_tokens":100,"max_completion_tokens":200,"n":3,
        "temperature":0.5,"service_tier":"flex","store":true} "#;
    let envelope = parse(body).unwrap();
    assert_eq!(envelope.model, "openai/gpt-5");
    assert!(envelope.is_stream && envelope.wants_usage);
    assert_eq!(envelope.max_output_tokens, Some(200));
    assert_eq!(envelope.choices, 3);
    assert_eq!(envelope.service_tier, Some("flex"));
    assert_eq!(envelope.unbounded, None);
    let request = envelope.to_model_request(body.len());
    assert_eq!(request.body_bytes, body.len() as u64);
    assert_eq!((request.model, request.choices), ("openai/gpt-5", 3));
}

#[test]
fn of_two_limits_the_larger_one_counts() {
    for (older, newer, counts) in [
        ("5", "9", 9),
        ("9", "5", 9),
        ("9", "null", 9),
        ("null", "9", 9),
    ] {
        let body =
            format!(r#"{{"model":"m","max_tokens":{older},"max_completion_tokens":{newer}}}"#);
        assert_eq!(
            parse(&body).unwrap().max_output_tokens,
            Some(counts),
            "{body}"
        );
    }
}

#[test]
fn null_means_not_set() {
    let envelope = parse(
        r#"{"model":"m","stream":null,"stream_options":null,"max_tokens":null,"n":null,"tools":null,
            "web_search_options":null,"models":null,"messages":[{"content":null,"audio":null}]}"#,
    )
    .unwrap();
    assert!(!envelope.is_stream && !envelope.wants_usage);
    assert_eq!((envelope.max_output_tokens, envelope.choices), (None, 1));
    assert_eq!(envelope.unbounded, None);
}

#[test]
fn an_embeddings_request_is_never_a_stream() {
    let body = br#"{"model":"m","input":["a {b}","c"],"stream":true}"#;
    let envelope = Envelope::parse(Endpoint::Embeddings, body).unwrap();
    assert!(!envelope.is_stream);
    assert_eq!(envelope.unbounded, None);
}

#[test]
fn refusals_say_what_is_wrong() {
    let bodies = [
        "",
        "null",
        "[]",
        "{",
        r#"{"model":"m"} x"#,
        r#"{"model":"m",}"#,
        r#"{"messages":[]}"#,
        r#"{"model":null}"#,
        r#"{"model":7}"#,
        r#"{"model":""}"#,
        r#"{"model":"  "}"#,
        r#"{"model":"a\u0000b"}"#,
        r#"{"model":"\ud800"}"#,
        r#"{"model":"a","model":"b"}"#,
        r#"{"model":"a","Model":"b"}"#,
        r#"{"mod\u0065l":"a"}"#,
        "{\"model\":\"a\",\"\u{17f}tream\":true}",
        r#"{"model":"a","MAX_TOKENS":5}"#,
        r#"{"model":"a","stream":"true"}"#,
        r#"{"model":"a","stream":1}"#,
        r#"{"model":"a","stream_options":true}"#,
        r#"{"model":"a","stream_options":{"include_usage":1}}"#,
        r#"{"model":"a","stream_options":{"include_usage":true,"include_usage":false}}"#,
        r#"{"model":"a","stream_options":{"Include_Usage":false}}"#,
        r#"{"model":"a","max_tokens":0}"#,
        r#"{"model":"a","max_tokens":-1}"#,
        r#"{"model":"a","max_tokens":1.5}"#,
        r#"{"model":"a","max_tokens":1e3}"#,
        r#"{"model":"a","max_tokens":"5"}"#,
        r#"{"model":"a","max_completion_tokens":99999999999999999999}"#,
        r#"{"model":"a","n":129}"#,
        r#"{"model":"a","n":[1]}"#,
        r#"{"model":"a","messages":"Hi"}"#,
        r#"{"model":"a","messages":["Hi"]}"#,
        r#"{"model":"a","tools":{}}"#,
        r#"{"model":"a","models":["b"]}"#,
        r#"{"model":"a","fallbacks":[{"model":"b"}]}"#,
    ];
    let told: Vec<String> = bodies
        .iter()
        .map(|body| format!("{body}\n    {}", parse(body).unwrap_err()))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let body = b"{\"model\":\"m\",\"user\":\"\xff\"}";
    let error = Envelope::parse(Endpoint::ChatCompletions, body).unwrap_err();
    assert_eq!(
        error.message,
        "the body is not UTF-8 at byte 21; send JSON in UTF-8"
    );
}

#[test]
fn sizes_are_bounded() {
    let body = |model: &str| format!(r#"{{"model":"{model}"}}"#);
    assert!(parse(&body(&"x".repeat(MAX_MODEL_BYTES))).is_ok());
    assert!(parse(&body(&"x".repeat(MAX_MODEL_BYTES + 1))).is_err());

    let nested = |levels: usize| {
        format!(
            r#"{{"model":"m","tools":[{{"type":"function","function":{}{}}}]}}"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert!(parse(&nested(MAX_DEPTH - 3)).is_ok());
    assert!(
        parse(&nested(MAX_DEPTH - 2))
            .unwrap_err()
            .contains("128 levels")
    );
    // Deep enough to end the stack of a parser that recurses.
    assert!(
        parse(&nested(1_000_000))
            .unwrap_err()
            .contains("128 levels")
    );
    assert!(parse(&"[".repeat(1_000_000)).is_err());
}

/// A refusal may quote the body, but not all of it.
#[test]
fn refusals_are_short() {
    let body = format!(r#"{{"model":"m","messages":"{}"}}"#, "x".repeat(100_000));
    assert!(parse(&body).unwrap_err().len() < 400);
}

#[test]
fn what_cannot_be_bounded_is_named() {
    let content = |part: &str| {
        format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"text","text":"?"}},{part}]}}]}}"#
        )
    };
    let bodies = [
        content(r#"{"type":"text","text":"https://example.com","cache_control":{"type":"ephemeral"}}"#),
        content(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}"#),
        content(r#"{"type":"image_url","image_url":{"detail":"high","url":"data:image\/jpeg;base64,/9j="}}"#),
        content(r#"{"type":"image_url","image_url":{"url":"data:video/mp4;base64,AAAA"}}"#),
        content(r#"{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","format":"x"}}"#),
        content(r#"{"type":"video_url","video_url":{"url":"data:video/mp4;base64,AAAA"}}"#),
        content(r#"{"type":"image_url","image_url":{"url":"https://example.com/x.png"}}"#),
        content(r#"{"type":"image_url","image_url":{"url":"https:\/\/example.com/\"data:"}}"#),
        content(r#"{"type":"image_url","image_url":{"url":"https://example.com/x.png","alt":"data:"}}"#),
        content(r#"{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}}"#),
        content(r#"{"type":"input_audio","input_audio":{"data":"https://example.com/x.mp3","format":"mp3"}}"#),
        content(r#"{"type":"file","file":{"file_id":"file-1"}}"#),
        content(r#"{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="}}"#),
        content("7"),
        r#"{"model":"m","messages":[{"CONTENT":[{"image_url":"http://x"}]}]}"#.to_owned(),
        r#"{"model":"m","messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#.to_owned(),
        r#"{"model":"m","tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]}"#.to_owned(),
        r#"{"model":"m","tools":[{"type":"web_search"}]}"#.to_owned(),
        r#"{"model":"m","tools":[{"google_search":{}}]}"#.to_owned(),
        r#"{"model":"m","web_search_options":{}}"#.to_owned(),
        r#"{"model":"m","search_parameters":{"mode":"on"}}"#.to_owned(),
        r#"{"model":"m","enable_search":true}"#.to_owned(),
        r#"{"model":"m","enable_search":false}"#.to_owned(),
        r#"{"model":"m","previous_response_id":"resp_1"}"#.to_owned(),
        r#"{"model":"m","n_predict":-1}"#.to_owned(),
        r#"{"model":"m","prediction":{"type":"content","content":"x"}}"#.to_owned(),
        r#"{"model":"m","input":[{"image":"https://example.com/x.png"}]}"#.to_owned(),
    ];
    let told: Vec<String> = bodies
        .iter()
        .map(|body| {
            let envelope = parse(body).unwrap();
            let media = if envelope.has_media { "media, " } else { "" };
            format!("{body}\n    {media}{:?}", envelope.unbounded)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Envelope::parse(Endpoint::ChatCompletions, &bytes);
    }

    #[test]
    fn no_near_json_panics(
        members in proptest::collection::vec(
            (
                "(model|Model|stream|n|messages|tools|input|stream_options|max_tokens|mod\\\\u0065l|x)",
                "(1|-1|\"x\"|\"\\\\u00|null|true|\\[\\]|\\[\\{\\}\\]|\\{\"include_usage\":1\\}|\\[\\{\"content\":\\[\\{|\\{|\")",
            ),
            0..6,
        ),
    ) {
        let members: Vec<String> = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        let body = format!("{{{}}}", members.join(","));
        let parsed = Envelope::parse(Endpoint::ChatCompletions, body.as_bytes());
        // Whatever is accepted is JSON.
        if parsed.is_ok() {
            prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
    }
}
