//! Our own answers, in every dialect.

use std::fmt::Write;

use tollgate_domain::error::{LimitRefusal, MeterReading};
use tollgate_domain::limits::MeterKind;
use tollgate_domain::{ErrorKind, GatewayError, Timestamp};
use tollgate_llm::reply::{
    Dialect, ErrorReply, ModelEntry, anthropic_models, openai_model, openai_models,
};

const DIALECTS: [Dialect; 4] = [
    Dialect::OpenAi,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::JsonRpc,
];

fn pretty(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

fn in_all_dialects(reply: &ErrorReply<'_>) -> String {
    let mut told = String::new();
    for dialect in DIALECTS {
        writeln!(told, "{dialect:?} {}", pretty(&reply.to_body(dialect))).unwrap();
    }
    told
}

fn refusal(kind: MeterKind, amount: i64, is_transient: bool) -> GatewayError {
    let now: Timestamp = "2026-11-24T10:00:00Z".parse().unwrap();
    GatewayError::limit(
        LimitRefusal {
            kind,
            reading: MeterReading {
                holder_kind: "access_profile",
                holder_id: "copy_1".to_owned(),
                holder_name: "Developers \"EU\"".to_owned(),
                id: "bud_1".to_owned(),
                scope: "provider:openai".to_owned(),
                kind: kind.as_str(),
                limit: amount,
                used: amount - 1_000_000,
                reserved: 1,
                remaining: 999_999,
                window_start: Some("2026-11-01T00:00:00Z".parse().unwrap()),
                resets_at: Some("2026-12-01T00:00:00Z".parse().unwrap()),
            },
            needed: 2_500_000,
            is_transient,
            largest_output_that_fits: (kind == MeterKind::Money).then_some(12),
        },
        now,
    )
}

#[test]
fn a_spent_budget() {
    let error = refusal(MeterKind::Money, 10_000_000_001, false);
    insta::assert_snapshot!(in_all_dialects(&ErrorReply::new(&error, "req_1")));
}

#[test]
fn a_token_limit() {
    let error = refusal(MeterKind::Tokens, 5_000_000, false);
    insta::assert_snapshot!(in_all_dialects(&ErrorReply::new(&error, "req_1")));
}

#[test]
fn a_field_at_fault() {
    let error = GatewayError::new(ErrorKind::InvalidRequest, "`n` is \"odd\"\n").with_param("n");
    insta::assert_snapshot!(in_all_dialects(&ErrorReply::new(&error, "req_1")));
}

#[test]
fn the_providers_own_status() {
    let error = GatewayError::new(ErrorKind::UpstreamError, "the provider answered 529");
    let reply = ErrorReply::new(&error, "req_1").with_status(529);
    insta::assert_snapshot!(in_all_dialects(&reply));
}

#[test]
fn inside_a_stream() {
    let error = GatewayError::new(ErrorKind::UpstreamError, "line one\nline two");
    let reply = ErrorReply::new(&error, "req_1");
    let told: Vec<String> = DIALECTS
        .iter()
        .map(|dialect| String::from_utf8(reply.to_event(*dialect).to_vec()).unwrap())
        .collect();
    insta::assert_snapshot!(told.concat());
}

/// Clients match on these: one line for each kind of error and dialect.
#[test]
fn types_of_every_kind() {
    let mut told = String::new();
    for kind in ErrorKind::ALL {
        let error = GatewayError::new(*kind, "x");
        let reply = ErrorReply::new(&error, "req_1");
        let field = |dialect, pointer: &str| {
            let value: serde_json::Value = serde_json::from_slice(&reply.to_body(dialect)).unwrap();
            value.pointer(pointer).unwrap().to_string()
        };
        writeln!(
            told,
            "{} {}: {} {} {} {}",
            kind.status(),
            kind.code(),
            field(Dialect::OpenAi, "/error/type"),
            field(Dialect::Anthropic, "/error/type"),
            field(Dialect::Gemini, "/error/status"),
            field(Dialect::JsonRpc, "/error/code"),
        )
        .unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_is_for_the_log_stays_there() {
    let error = GatewayError::new(ErrorKind::InternalError, "something went wrong")
        .with_source("password=hunter2");
    let reply = ErrorReply::new(&error, "req_1");
    for dialect in DIALECTS {
        let body = String::from_utf8(reply.to_body(dialect).to_vec()).unwrap();
        assert!(!body.contains("hunter2"));
    }
}

#[test]
fn lists_of_models() {
    let models = [
        ModelEntry {
            id: "openai/gpt-5",
            owned_by: "openai",
            created: "2026-11-24T10:00:00Z".parse().unwrap(),
            context_window: Some(400_000),
            max_output_tokens: Some(128_000),
        },
        ModelEntry {
            id: "local/tiny",
            owned_by: "local",
            created: "2026-11-24T10:00:00Z".parse().unwrap(),
            context_window: None,
            max_output_tokens: None,
        },
    ];
    let told = [
        pretty(&openai_models(models)),
        pretty(&openai_model(models[0])),
        pretty(&anthropic_models(models)),
        pretty(&anthropic_models([])),
    ];
    insta::assert_snapshot!(told.join("\n"));
}
