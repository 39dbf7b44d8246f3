//! An upstream that refuses, hangs, breaks off, sends garbage: what the client is told, and what is charged.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::json;
use tollgate_testkit::provider::{
    Behaviour, Chat, ClosedPort, End, Exchange, Fault, Gate, MockProvider, Script,
};

use crate::black_box::{Answer, Caller, Stage, bound, chat, cost, start};

fn assert_upstream_error(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.code(), "upstream_error", "{answer:?}");
    assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    assert!(!answer.header("x-request-id").is_empty());
    assert!(!answer.text.contains("sk-upstream"), "{answer:?}");
}

/// The request was spoiled on the way; the gateway serves the next one as if nothing had been.
async fn assert_still_serves(stage: &Stage) {
    stage.provider.always(Chat::default());
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn refused_connection_costs_nothing() {
    let closed = ClosedPort::new();
    let gateway = start().await;
    let caller = Caller::behind(&gateway, &closed.base_url(), 1.0, "bound", json!({})).await;
    for is_stream in [false, true] {
        let answer = caller.chat(&chat("small", 5, is_stream)).await.unwrap();
        assert_upstream_error(&answer, 502);
    }
    assert_eq!(caller.spent_when_idle().await, 0);
}

#[tokio::test]
async fn silent_upstream_is_given_up_and_charged_at_the_bound() {
    let provider = MockProvider::start().await;
    let gateway = start().await;
    let network = json!({"default_request_timeout_in_seconds": 1});
    let caller = Caller::behind(&gateway, &provider.base_url(), 1.0, "bound", network).await;
    provider.always(Script::hang());
    let body = chat("small", 5, false);
    let answer = caller.chat(&body).await.unwrap();
    assert_upstream_error(&answer, 504);
    let spent = caller.spent_when_idle().await;
    assert_eq!(spent, bound(body.to_string().len(), 5));
    provider
        .wait_until(|exchanges| exchanges[0].end == End::PeerLeft)
        .await;
}

#[tokio::test]
async fn reset_and_garbage_before_an_answer_are_charged_at_the_bound() {
    let stage = Stage::new(1.0, "bound").await;
    let mut spent = 0;
    for script in [Script::reset(), Script::garbage()] {
        for is_stream in [false, true] {
            stage.provider.next(script.clone());
            let body = chat("small", 5, is_stream);
            let answer = stage.caller.chat(&body).await.unwrap();
            assert_upstream_error(&answer, 502);
            spent += bound(body.to_string().len(), 5);
            assert_eq!(stage.caller.spent_when_idle().await, spent, "{script:?}");
        }
    }
    assert_still_serves(&stage).await;
}

#[tokio::test]
async fn error_of_the_upstream_is_passed_on_and_costs_nothing() {
    let stage = Stage::with_a_dollar().await;
    for status in [400, 401, 404, 500, 503] {
        stage
            .provider
            .next(Script::error(status, &[], "the upstream's own words"));
        let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    }
    assert_eq!(stage.caller.spent_when_idle().await, 0);
    assert_still_serves(&stage).await;
}

#[tokio::test]
async fn upstream_that_is_busy_says_when_to_come_back() {
    let stage = Stage::with_a_dollar().await;
    for is_stream in [false, true] {
        let busy = Script::error(429, &[("retry-after", "7")], "slow down");
        stage.provider.next(busy);
        let answer = stage
            .caller
            .chat(&chat("small", 5, is_stream))
            .await
            .unwrap();
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(answer.header("retry-after"), "7");
        assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    }
    assert_eq!(stage.caller.spent_when_idle().await, 0);
}

/// Ten pieces, of which four arrive.
fn broken(fault: Fault) -> Chat {
    let pieces: Vec<String> = (0..10).map(|n| format!("piece {n} ")).collect();
    Chat::default()
        .pieces(pieces)
        .usage(20, 10)
        .broken_after(4, fault)
}

#[tokio::test]
async fn stream_that_breaks_off_is_not_passed_off_as_whole_and_is_charged() {
    let stage = Stage::with_a_dollar().await;
    let mut spent = 0;
    for fault in [
        Fault::Reset,
        Fault::Close,
        Fault::HalfEvent,
        Fault::EarlyEnd,
    ] {
        stage.provider.next(broken(fault.clone()));
        let mut answer = stage.caller.begin(&chat("small", 50, true)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let mut text = String::new();
        // An error in the stream, or the end of the connection, are both honest.
        while let Ok(Some(piece)) = answer.chunk().await {
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        assert!(text.contains("piece 3"), "{fault:?}: {text}");
        assert!(!text.contains("piece 4"), "{fault:?}: {text}");
        if !matches!(fault, Fault::EarlyEnd) {
            assert!(!text.contains("[DONE]"), "{fault:?}: {text}");
        }
        let now = stage.caller.spent_when_idle().await;
        assert!(now > spent, "{fault:?} was free");
        assert!(now - spent <= bound(200, 50), "{fault:?} cost {now}");
        spent = now;
    }
    assert_still_serves(&stage).await;
}

#[tokio::test]
async fn plain_answer_that_breaks_off_is_an_error_and_is_charged() {
    let stage = Stage::with_a_dollar().await;
    let mut spent = 0;
    for fault in [Fault::Reset, Fault::Close] {
        stage.provider.next(broken(fault.clone()));
        // The status may be out already; then the body must end in an error.
        if let Ok(answer) = stage.caller.chat(&chat("small", 50, false)).await {
            assert_upstream_error(&answer, 502);
        }
        let now = stage.caller.spent_when_idle().await;
        assert!(now > spent, "{fault:?} was free");
        spent = now;
    }
    assert_still_serves(&stage).await;
}

#[tokio::test]
async fn garbage_in_a_stream_does_not_stop_it() {
    let stage = Stage::with_a_dollar().await;
    for garbage in [
        &b"data: {not json\n\n"[..],
        b"data: \xff\xfe\n\n",
        b": a comment\n\n",
        b"event: strange\nid: 7\nretry: 1\ndata: {}\n\n",
        b"\r\n\r\n\n\n",
        b"data: {\"usage\": \"no\"}\n\n",
        b"data: {\"usage\": {\"prompt_tokens\": -5}}\n\n",
    ] {
        let garbage = Bytes::copy_from_slice(garbage);
        stage.provider.next(broken(Fault::Garbage(garbage.clone())));
        let before = stage.caller.spent_when_idle().await;
        let answer = stage.caller.begin(&chat("small", 50, true)).await.unwrap();
        let bytes = answer.bytes().await.unwrap();
        assert!(
            bytes.ends_with(b"data: [DONE]\n\n"),
            "{garbage:?}: {bytes:?}"
        );
        let spent = stage.caller.spent_when_idle().await - before;
        assert_eq!(spent, cost(20, 10), "{garbage:?}");
    }
}

#[tokio::test]
async fn answer_without_usage_is_not_free() {
    let stage = Stage::with_a_dollar().await;
    stage.provider.always(Chat::default().without_usage());
    let mut spent = 0;
    for is_stream in [false, true] {
        let answer = stage
            .caller
            .chat(&chat("small", 50, is_stream))
            .await
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let now = stage.caller.spent_when_idle().await;
        assert!(now > spent);
        spent = now;
    }
}

#[tokio::test]
async fn stream_is_never_held_back() {
    let stage = Stage::with_a_dollar().await;
    let gate = Gate::new();
    stage.provider.always(Chat::default().gated(&gate));
    let mut answer = stage.caller.begin(&chat("small", 50, true)).await.unwrap();
    let mut text = String::new();
    for piece in ["\"Hello\"", "\" there\"", "\"!\""] {
        assert!(!text.contains(piece));
        gate.pass(1);
        while !text.contains(piece) {
            let bytes = answer.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    assert!(stage.caller.reserved().await > 0, "it still runs");
    gate.open();
    while let Some(bytes) = answer.chunk().await.unwrap() {
        text.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    // Settled before the client sees the end: no waiting here.
    let budget = stage.caller.budget().await;
    assert_eq!(budget["reserved"].as_f64(), Some(0.0), "{budget}");
    assert_eq!(stage.caller.spent().await, cost(10, 3));
}

#[tokio::test]
async fn client_that_vanishes_pays_for_what_the_upstream_did() {
    let stage = Stage::with_a_dollar().await;
    for (number, is_stream) in [true, false].into_iter().enumerate() {
        let before = stage.caller.spent_when_idle().await;
        let gate = Gate::new();
        stage
            .provider
            .next(Chat::default().usage(30, 9).gated(&gate));
        let mut client = tokio::task::JoinSet::new();
        let (caller, seen) = (stage.caller.clone(), Arc::new(tokio::sync::Notify::new()));
        let first_piece = seen.clone();
        client.spawn(async move {
            let mut answer = caller.begin(&chat("small", 50, is_stream)).await?;
            answer.chunk().await?;
            first_piece.notify_one();
            std::future::pending::<reqwest::Result<()>>().await
        });
        stage.provider.wait_for(number + 1).await;
        if is_stream {
            gate.pass(1);
            seen.notified().await;
        }
        client.shutdown().await;
        gate.open();
        let is_over = |exchanges: &[Exchange]| exchanges[number].end != End::Running;
        let billed = stage.provider.wait_until(is_over).await[number].billed;
        let spent = stage.caller.spent_when_idle().await - before;
        assert!(
            spent >= cost(billed.input, billed.output),
            "stream {is_stream}: {spent} for {billed:?}"
        );
        assert!(spent <= bound(200, 50), "stream {is_stream}: {spent}");
    }
    assert_still_serves(&stage).await;
}

#[tokio::test]
async fn huge_answer_arrives_whole() {
    let stage = Stage::with_a_dollar().await;
    let text = "0123456789abcdef".repeat(1 << 20);
    stage
        .provider
        .always(Chat::default().pieces([text.clone()]).usage(10, 100));
    for is_stream in [false, true] {
        let answer = stage
            .caller
            .chat(&chat("small", 200, is_stream))
            .await
            .unwrap();
        assert!(answer.text.contains(&text));
    }
    assert_eq!(stage.caller.spent_when_idle().await, 2 * cost(10, 100));
}

#[tokio::test]
async fn failed_attempt_is_tried_again_and_charged_once() {
    let provider = MockProvider::start().await;
    let gateway = start().await;
    let network = json!({"max_retries": 2, "retry_backoff_initial": 1, "retry_backoff_max": 2});
    let caller = Caller::behind(&gateway, &provider.base_url(), 1.0, "bound", network).await;
    provider.next(Script::error(503, &[], "not now"));
    provider.next(Script::error(500, &[], "nor now"));
    let answer = caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(provider.exchanges().len(), 3);
    assert_eq!(caller.spent_when_idle().await, cost(10, 3));
}

#[tokio::test]
async fn answer_is_charged_by_what_the_upstream_reports() {
    let stage = Stage::with_a_dollar().await;
    // The upstream decides by the request, so that each answer has a price of its own.
    stage.provider.always(Behaviour::respond(|request| {
        let tokens = request.json()["max_tokens"].as_u64().unwrap_or_default();
        Chat::default().usage(100 + tokens, tokens).script(request)
    }));
    let mut spent = 0;
    for tokens in 1..20 {
        let is_stream = tokens % 2 == 0;
        let answer = stage
            .caller
            .chat(&chat("small", tokens, is_stream))
            .await
            .unwrap();
        spent += cost(100 + tokens, tokens);
        if !is_stream {
            let header: f64 = answer.header("x-tollgate-cost-usd").parse().unwrap();
            let nanos = i64::try_from(100 + 3 * tokens).unwrap() * 1_000;
            assert!((header * 1e9 - f64::from(i32::try_from(nanos).unwrap())).abs() < 0.5);
        }
        assert_eq!(stage.caller.spent().await, spent);
    }
}
