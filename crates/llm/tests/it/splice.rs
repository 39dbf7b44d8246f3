//! What is changed in a request on its way to the provider, and that nothing else is.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_domain::access::Endpoint;
use tollgate_llm::openai::{Edits, Envelope, OutputField, OutputLimit, splice};

fn spliced(body: &str, edits: &Edits<'_>) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let envelope = Envelope::parse(Endpoint::ChatCompletions, &body).unwrap();
    String::from_utf8(splice(&body, &envelope, edits).to_vec()).unwrap()
}

const MODEL_ONLY: Edits<'_> = Edits {
    model: "gpt",
    ask_for_usage: false,
    output_limit: None,
};

const EVERYTHING: Edits<'_> = Edits {
    model: "gpt",
    ask_for_usage: true,
    output_limit: Some(OutputLimit {
        field: OutputField::MaxTokens,
        tokens: 64,
    }),
};

#[test]
fn only_the_model_is_cut_out() {
    assert_eq!(
        spliced(
            "{ \"a\" : 1.0e+2,\n\"model\" : \"openai/gpt\" , \"b\":\"\\u00e9\" }",
            &MODEL_ONLY
        ),
        "{ \"a\" : 1.0e+2,\n\"model\" : \"gpt\" , \"b\":\"\\u00e9\" }"
    );
    let odd = Edits {
        model: "a\"b\\c\n",
        ..MODEL_ONLY
    };
    assert_eq!(
        spliced(r#"{"model":"m"}"#, &odd),
        r#"{"model":"a\"b\\c\n"}"#
    );
}

#[test]
fn usage_is_asked_for_wherever_the_wish_stands() {
    let cases = [
        (
            r#"{"model":"gpt","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"gpt","stream":true}"#,
        ),
        (
            r#"{"model":"gpt","stream":true,"stream_options":null}"#,
            r#"{"model":"gpt","stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            r#"{"stream_options":{ },"model":"gpt","stream":true}"#,
            r#"{"stream_options":{"include_usage":true },"model":"gpt","stream":true}"#,
        ),
        (
            r#"{"stream_options":{"x":1},"model":"gpt","stream":true}"#,
            r#"{"stream_options":{"include_usage":true,"x":1},"model":"gpt","stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage": false},"model":"gpt","stream":true}"#,
            r#"{"stream_options":{"include_usage": true},"model":"gpt","stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true},"model":"gpt","stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"gpt","stream":true}"#,
        ),
        (
            r#"{"model":"gpt","stream":false}"#,
            r#"{"model":"gpt","stream":false}"#,
        ),
    ];
    let edits = Edits {
        ask_for_usage: true,
        ..MODEL_ONLY
    };
    for (body, expected) in cases {
        assert_eq!(spliced(body, &edits), expected);
    }
}

#[test]
fn an_output_limit_is_written_only_where_there_is_none() {
    let edits = Edits {
        ask_for_usage: false,
        ..EVERYTHING
    };
    let cases = [
        (r#"{"model":"gpt"}"#, r#"{"max_tokens":64,"model":"gpt"}"#),
        (
            r#"{"model":"gpt","max_tokens":null}"#,
            r#"{"model":"gpt","max_tokens":64}"#,
        ),
        (
            r#"{"model":"gpt","max_completion_tokens":null}"#,
            r#"{"max_tokens":64,"model":"gpt","max_completion_tokens":null}"#,
        ),
        (
            r#"{"model":"gpt","max_tokens":9}"#,
            r#"{"model":"gpt","max_tokens":9}"#,
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(spliced(body, &edits), expected);
    }
}

/// A provider that does not know the field would ignore the limit that was paid for.
#[test]
fn a_limit_in_the_newer_field_goes_under_the_name_that_the_provider_takes() {
    let cases = [
        (
            r#"{"model":"gpt","max_completion_tokens":9}"#,
            r#"{"model":"gpt","max_tokens":9}"#,
        ),
        (
            "{\"max_completion_tokens\" \n:\t 9 , \"model\":\"gpt\"}",
            "{\"max_tokens\" \n:\t 9 , \"model\":\"gpt\"}",
        ),
        (
            r#"{"max_tokens":null,"model":"gpt","max_completion_tokens":9}"#,
            r#"{"max_tokens":9,"model":"gpt","max_completion_tokens":9}"#,
        ),
        (
            r#"{"model":"gpt","max_completion_tokens":9,"max_tokens":5}"#,
            r#"{"model":"gpt","max_completion_tokens":9,"max_tokens":5}"#,
        ),
        (
            r#"{"x":{"max_completion_tokens":3},"model":"gpt","max_completion_tokens":9}"#,
            r#"{"x":{"max_completion_tokens":3},"model":"gpt","max_tokens":9}"#,
        ),
    ];
    let edits = Edits {
        ask_for_usage: false,
        ..EVERYTHING
    };
    for (body, expected) in cases {
        assert_eq!(spliced(body, &edits), expected);
        assert_eq!(
            spliced(body, &MODEL_ONLY),
            body,
            "where nothing has to be bounded, nothing is touched"
        );
        let newer = Edits {
            output_limit: Some(OutputLimit {
                field: OutputField::MaxCompletionTokens,
                tokens: 9,
            }),
            ..edits
        };
        assert_eq!(
            spliced(body, &newer),
            body,
            "the provider takes the newer one"
        );
    }
}

#[test]
fn a_body_that_needs_no_edit_is_shared() {
    let body = Bytes::from_static(br#"{"model":"gpt"}"#);
    let envelope = Envelope::parse(Endpoint::ChatCompletions, &body).unwrap();
    assert_eq!(
        splice(&body, &envelope, &MODEL_ONLY).as_ptr(),
        body.as_ptr()
    );
}

#[test]
fn openais_own_hosts_take_the_newer_field() {
    for host in ["api.openai.com", "eu.api.openai.com", "x.openai.azure.com"] {
        assert_eq!(
            OutputField::for_host(host),
            OutputField::MaxCompletionTokens
        );
    }
    for host in [
        "localhost",
        "notopenai.com",
        "openai.com.evil.example",
        "api.groq.com",
    ] {
        assert_eq!(OutputField::for_host(host), OutputField::MaxTokens);
    }
}

/// A JSON object with some governed fields and anything else, in any order, and with white space.
fn bodies() -> impl Strategy<Value = String> {
    let anything = prop_oneof![
        Just("null".to_owned()),
        Just("-0.0e-7".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\u00e9\/ü\"x""#.to_owned()),
        Just(r#"{"model":"inner","stream_options":{"a":[{},[]]}}"#.to_owned()),
    ];
    let stream_options = prop_oneof![
        Just("null".to_owned()),
        Just("{}".to_owned()),
        Just(r#"{ "x" : {"include_usage":7} }"#.to_owned()),
        Just(r#"{"a":1,"include_usage" : false}"#.to_owned()),
        Just(r#"{"include_usage":null,"b":"}"}"#.to_owned()),
    ];
    let limit = prop_oneof![Just("null".to_owned()), Just("17".to_owned())];
    (
        "[a-z/]{1,8}",
        proptest::option::of(stream_options),
        proptest::option::of(limit.clone()),
        proptest::option::of(limit),
        any::<bool>(),
        proptest::collection::vec(anything, 0..4),
        "[ \n\t]{0,2}",
    )
        .prop_map(|(model, options, old, new, is_stream, others, space)| {
            let mut members = vec![
                ("model".to_owned(), format!("\"{model}\"")),
                ("stream".to_owned(), is_stream.to_string()),
            ];
            members.extend(options.map(|value| ("stream_options".to_owned(), value)));
            members.extend(old.map(|value| ("max_tokens".to_owned(), value)));
            members.extend(new.map(|value| ("max_completion_tokens".to_owned(), value)));
            let others = others.into_iter().enumerate();
            members.extend(others.map(|(index, value)| (format!("other{index}"), value)));
            (members, space)
        })
        .prop_flat_map(|(members, space)| (Just(members).prop_shuffle(), Just(space)))
        .prop_map(|(members, space)| {
            let members: Vec<String> = members
                .iter()
                .map(|(name, value)| format!("{space}\"{name}\"{space}:{space}{value}{space}"))
                .collect();
            format!("{space}{{{}}}{space}", members.join(","))
        })
}

proptest! {
    #[test]
    fn only_what_is_spliced_differs(body in bodies()) {
        let before: Value = serde_json::from_str(&body).unwrap();
        let text = spliced(&body, &EVERYTHING);
        let after: Value = serde_json::from_str(&text).unwrap();

        let mut expected = before.clone();
        expected["model"] = "gpt".into();
        if before["stream"] == true {
            if !before["stream_options"].is_object() {
                expected["stream_options"] = json!({});
            }
            expected["stream_options"]["include_usage"] = true.into();
        }
        if before["max_tokens"].is_null() {
            let newer = &before["max_completion_tokens"];
            let has_older = before.get("max_tokens").is_some();
            expected["max_tokens"] = if newer.is_null() { 64.into() } else { newer.clone() };
            if !newer.is_null() && !has_older {
                expected.as_object_mut().unwrap().remove("max_completion_tokens");
            }
        }
        prop_assert_eq!(&after, &expected);
        prop_assert_eq!(
            serde_json::to_string(&after["other0"]).unwrap(),
            serde_json::to_string(&before["other0"]).unwrap()
        );
        // What was written is what would be read: a second pass finds nothing to do but is still accepted.
        prop_assert_eq!(spliced(&text, &EVERYTHING), text);
    }

    /// The body is the spliced one without the pieces that were put in, and with those that were cut out: nothing
    /// between them was written anew.
    #[test]
    fn untouched_bytes_are_the_same(body in bodies()) {
        let text = spliced(&body, &MODEL_ONLY);
        let at = body.find("\"model\"").unwrap();
        let inner = body.find("{\"model\":\"inner\"").unwrap_or(usize::MAX);
        prop_assume!(at < inner);
        let from = at + body[at + 7..].find('"').unwrap() + 7;
        let to = from + 1 + body[from + 1..].find('"').unwrap() + 1;
        prop_assert_eq!(text, format!("{}\"gpt\"{}", &body[..from], &body[to..]));
    }
}
