//! Upstreams that lie about what they did: no lie makes a request free, stops the accounts, or splits them.

use serde_json::json;
use tollgate_testkit::provider::Script;

use crate::black_box::{Stage, chat, nanos};

/// Reports that cannot be true, each in the place where a report belongs.
const LIES: [&str; 14] = [
    "null",
    "[]",
    "\"none\"",
    "{}",
    r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
    r#"{"prompt_tokens":-10,"completion_tokens":-3,"total_tokens":-13}"#,
    r#"{"prompt_tokens":10,"completion_tokens":-3}"#,
    r#"{"prompt_tokens":0.5,"completion_tokens":0.5}"#,
    r#"{"prompt_tokens":1e300,"completion_tokens":1}"#,
    r#"{"prompt_tokens":18446744073709551616,"completion_tokens":1}"#,
    r#"{"prompt_tokens":9007199254740992,"completion_tokens":9007199254740992}"#,
    r#"{"prompt_tokens":"10","completion_tokens":"3"}"#,
    r#"{"prompt_tokens":[10],"completion_tokens":{"a":3}}"#,
    r#"{"prompt_tokens":10,"completion_tokens":3,"completion_tokens_details":{"reasoning_tokens":-1}}"#,
];

/// Of one token each way, and of no request that is sent here.
const LEAST: i64 = 3_000;
const MOST: i64 = 1_000_000;

fn plain(usage: &str) -> Script {
    let body = format!(
        r#"{{"id":"x","object":"chat.completion","model":"small","choices":[{{"index":0,"message":{{"role":"assistant","content":"Hello there, caller"}},"finish_reason":"stop"}}],"usage":{usage}}}"#
    );
    Script::answer(200, &[("content-type", "application/json")], body)
}

fn stream(events: &[&str]) -> Script {
    let body = events.join("\n\ndata: ");
    let body = format!("data: {body}\n\n");
    Script::answer(200, &[("content-type", "text/event-stream")], body)
}

const TEXT: &str = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"Hello there, caller"},"finish_reason":"stop"}]}"#;

fn report(usage: &str) -> String {
    format!(r#"{{"id":"x","choices":[],"usage":{usage}}}"#)
}

/// What one request more has cost.
async fn cost_of(stage: &Stage, is_stream: bool) -> i64 {
    let before = stage.caller.spent().await;
    let answer = stage
        .caller
        .chat(&chat("small", 50, is_stream))
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    stage.caller.spent_when_idle().await - before
}

#[tokio::test]
async fn lies_about_usage_are_charged_by_our_own_count() {
    let stage = Stage::new(1_000.0, "estimate").await;
    let mut requests = 0;
    for lie in LIES {
        stage.provider.next(plain(lie));
        let whole = cost_of(&stage, false).await;
        assert!((LEAST..MOST).contains(&whole), "{lie}: {whole}");
        let lied = report(lie);
        stage.provider.next(stream(&[TEXT, &lied, "[DONE]"]));
        let streamed = cost_of(&stage, true).await;
        assert!((LEAST..MOST).contains(&streamed), "{lie}: {streamed}");
        requests += 2;
    }
    // Everybody has the same, and the database takes it.
    let spent = stage.caller.spent().await;
    let gateway = stage.gateway.stopped_and_restarted().await;
    assert_eq!(gateway.admin().logged().await, (requests, spent));
    assert_eq!(gateway.metric("tollgate_fold_failing").await, 0);
}

/// The last report counts, whatever came before.
#[tokio::test]
async fn reports_of_a_stream_are_not_added_up() {
    let stage = Stage::new(1_000.0, "estimate").await;
    let small = report(r#"{"prompt_tokens":10,"completion_tokens":3}"#);
    let large = report(r#"{"prompt_tokens":400,"completion_tokens":30}"#);
    let of_small = 10 * 1_000 + 3 * 2_000;
    let of_large = 400 * 1_000 + 30 * 2_000;
    for (events, expected) in [
        ([TEXT, &small, &small, "[DONE]"], of_small),
        ([TEXT, &small, &large, "[DONE]"], of_large),
        ([TEXT, &large, &small, "[DONE]"], of_small),
    ] {
        stage.provider.next(stream(&events));
        assert_eq!(cost_of(&stage, true).await, expected, "{events:?}");
    }
    // A lie takes back nothing that was said before.
    let lie = report(r#"{"prompt_tokens":-1,"completion_tokens":-1}"#);
    stage.provider.next(stream(&[TEXT, &large, &lie, "[DONE]"]));
    assert_eq!(cost_of(&stage, true).await, of_large);
    // Usage in the text that the model wrote is text.
    let told = r#"{"id":"x","choices":[{"index":0,"delta":{"content":"\"usage\":{\"prompt_tokens\":99999}"},"finish_reason":"stop"}]}"#;
    stage.provider.next(stream(&[told, &small, "[DONE]"]));
    assert_eq!(cost_of(&stage, true).await, of_small);
}

/// The largest reports that are believed, many times over, on limits at the end of their range.
#[tokio::test]
async fn reports_that_are_barely_believed_do_not_stop_the_accounts() {
    let stage = Stage::with_profile(&json!({
        "budgets": [{"max_limit": 9_223_372_036.0, "reset_duration": "1d"}],
        "rate_limit": {"token_max_limit": 9_223_372_036_854_775_807_i64, "token_reset_duration": "1d"},
    }))
    .await;
    for _ in 0..8 {
        stage.provider.next(plain(
            r#"{"prompt_tokens":4294967296,"completion_tokens":4294967296}"#,
        ));
        let answer = stage.caller.chat(&chat("small", 50, false)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let expected = 8 * 4_294_967_296 * 3_000;
    assert_eq!(
        stage.caller.spent_when_idle().await / 1_000_000,
        expected / 1_000_000
    );
    let gateway = stage.gateway.stopped_and_restarted().await;
    let stats = gateway.admin().get("/api/logs/stats").await;
    assert_eq!(stats["total"]["requests"], 8);
    assert_eq!(
        nanos(&stats["total"]["cost_usd"]) / 1_000_000,
        expected / 1_000_000
    );
    assert_eq!(gateway.metric("tollgate_fold_failing").await, 0);
}
