//! Plain answers.

use serde_json::json;
use tollgate_domain::access::profile::Reservation;
use tollgate_domain::limits::MeterKind;
use tollgate_testkit::provider::{Chat, MockProvider, Script};

use crate::harness::{Setup, post, question, world};

/// 10 input tokens at $1 and 3 output tokens at $2 for a million.
const COST_NANOS: i64 = 16_000;

#[tokio::test]
async fn bytes_pass_untouched_and_the_cost_is_told() {
    let (world, mock) = world().await;
    let body = "{ \"choices\": [ ],\n \"usage\": {\"prompt_tokens\":10,\"completion_tokens\":3} , \"x\":\"ü\"}";
    mock.always(Script::answer(
        200,
        &[("content-type", "application/json; charset=utf-8")],
        body,
    ));
    let answer = world.chat(&question()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, body);
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(answer.header("x-tollgate-cost-usd"), "0.000016");
    assert_eq!(answer.header("x-tollgate-model"), "small");
    assert_eq!(answer.header("x-tollgate-provider"), "mock");
    assert_eq!(answer.header("x-tollgate-budget-remaining-usd"), "0.999984");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), "100");
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), "99");
    assert_eq!(answer.header("x-ratelimit-remaining-tokens"), "999987");
    assert!(answer.header("x-ratelimit-reset-requests").ends_with('s'));
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert_eq!(world.spent(), COST_NANOS);
    assert_eq!(world.count(MeterKind::Requests).used, 1);
    assert_eq!(world.count(MeterKind::Tokens).used, 13);
}

#[tokio::test]
async fn only_the_model_differs_on_the_way_up() {
    let (world, mock) = world().await;
    let sent = "{\"messages\" : [{\"content\":\"a\\u00e9\", \"role\":\"user\"}],  \"model\" :\"mock/small\", \"x\":[1.0, 2e3]}";
    world.answer(post("/v1/chat/completions", sent)).await;
    let got = &mock.exchanges()[0].request;
    assert_eq!(got.path, "/v1/chat/completions");
    assert_eq!(got.body, sent.replace("mock/small", "small"));
}

/// Whoever reserves exactly also says the limit so that the provider understands it.
#[tokio::test]
async fn with_exact_bounds_the_limit_goes_up_in_the_field_that_the_provider_takes() {
    let mock = MockProvider::start().await;
    for (reservation, field) in [
        (Reservation::Bound, "max_tokens"),
        (Reservation::Estimate, "max_completion_tokens"),
    ] {
        let world = Setup::at(&mock.base_url())
            .copy(|copy| copy.settings.reservation = reservation)
            .start();
        let mut question = question();
        question["max_completion_tokens"] = 9.into();
        assert_eq!(world.chat(&question).await.status, 200);
        let got = mock.exchanges().last().unwrap().request.json();
        let limits = ["max_tokens", "max_completion_tokens"];
        for name in limits {
            let expected = if name == field { json!(9) } else { json!(null) };
            assert_eq!(got[name], expected, "{reservation:?}: {name}");
        }
    }
}

/// The bytes of an image are no tokens, so what is counted for want of a report stops at what was held.
#[tokio::test]
async fn with_exact_bounds_an_image_holds_the_context_and_costs_no_more() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .copy(|copy| copy.settings.reservation = Reservation::Bound)
        .start();
    let mut asked = question();
    let image = format!("data:image/png;base64,{}", "A".repeat(600_000));
    asked["max_tokens"] = 5.into();
    asked["messages"][0]["content"] = json!([{"type": "image_url", "image_url": {"url": image}}]);
    assert_eq!(world.chat(&asked).await.status, 200);
    let reported = world.spent();
    mock.always(Chat::default().without_usage());
    assert_eq!(world.chat(&asked).await.status, 200);
    // A context of 128,000 tokens, and the three of the answer.
    assert_eq!(world.spent() - reported, 128_000_000 + 3 * 2_000);
    asked["messages"][0]["content"] = json!([{"type": "file", "file": {"file_data": "JVBE"}}]);
    assert_eq!(world.chat(&asked).await.status, 400);
}

#[tokio::test]
async fn path_prefix_and_query_of_the_base_url_are_kept() {
    let mock = tollgate_testkit::provider::MockProvider::start().await;
    let base = format!("{}/some/prefix?api-version=7", mock.base_url());
    let world = crate::harness::Setup::at(&base).start();
    assert_eq!(world.chat(&question()).await.status, 200);
    assert_eq!(
        mock.exchanges()[0].request.path,
        "/some/prefix/v1/chat/completions?api-version=7"
    );
}

#[tokio::test]
async fn embeddings_are_charged_by_their_input() {
    let (world, _mock) = world().await;
    let body = json!({"model": "mock/small", "input": ["a", "b"]}).to_string();
    let answer = world.answer(post("/openai/embeddings", body)).await;
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 2);
    assert_eq!(world.spent(), 10_000);
}

#[tokio::test]
async fn answer_without_usage_is_counted() {
    let (world, mock) = world().await;
    mock.always(Chat::default().without_usage());
    let answer = world.chat(&question()).await;
    assert_eq!(answer.status, 200);
    // `Hello there!` has 12 bytes, four to a token, at 2,000 nano-dollars; the input is what was estimated.
    assert!(world.spent() > 6_000);
    assert_eq!(world.stats().in_doubt, 0);
}
