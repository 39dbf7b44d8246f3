//! Requests that never reach a provider.

use std::sync::Arc;

use serde_json::json;
use tollgate_domain::access::ModelList;
use tollgate_domain::limits::MeterKind;
use tollgate_testkit::entities::meter;
use tollgate_testkit::provider::MockProvider;

use crate::harness::{Answer, Setup, World, post, question, streamed_question, world};

fn is_refused(world: &World, mock: &MockProvider, answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.error(), (status, code.to_owned()));
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(answer.header("x-request-id").starts_with("req_"));
    assert_eq!(answer.header("x-tollgate-error-source"), "gateway");
    assert_eq!(mock.exchanges().len(), 0);
    assert_eq!(world.stats().open, 0);
}

#[tokio::test]
async fn malformed_bodies() {
    let (world, mock) = world().await;
    let deep = format!("{{\"model\":\"mock/small\",\"x\":{}}}", "[".repeat(10_000));
    let bodies: [&[u8]; 8] = [
        b"",
        b"{",
        b"[]",
        b"{\"model\":\"mock/small\"} trailing",
        b"{\"model\":\"mock/\xff\"}",
        b"{\"model\":\"mock/small\",\"model\":\"mock/large\"}",
        b"{\"model\":\"mock/small\",\"Model\":\"mock/large\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let answer = world
            .answer(post("/v1/chat/completions", body.to_vec()))
            .await;
        is_refused(&world, &mock, &answer, 400, "invalid_request");
        assert_eq!(answer.header("x-should-retry"), "false");
    }
}

#[tokio::test]
async fn wrong_types_and_sizes() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .config(|config| config.max_request_body = 1_000)
        .start();
    let mut request = post("/v1/chat/completions", question().to_string());
    request
        .headers_mut()
        .insert("content-type", "text/plain".parse().unwrap());
    let answer = world.answer(request).await;
    is_refused(&world, &mock, &answer, 415, "unsupported_media_type");
    let answer = world
        .answer(post("/v1/chat/completions", " ".repeat(1_001)))
        .await;
    is_refused(&world, &mock, &answer, 413, "body_too_large");
}

#[tokio::test]
async fn what_is_not_granted() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .copy(|copy| copy.grants[0].blacklisted = ModelList::compile(&["small"]).unwrap())
        .start();
    let answer = world.chat(&question()).await;
    is_refused(&world, &mock, &answer, 403, "model_blocked");
    let unpriced = json!({"model": "mock/unheard-of", "messages": []});
    let answer = world.chat(&unpriced).await;
    is_refused(&world, &mock, &answer, 403, "price_unknown");
    let world = Setup::at(&mock.base_url())
        .copy(|copy| copy.grants.clear())
        .start();
    let answer = world.chat(&question()).await;
    is_refused(&world, &mock, &answer, 403, "provider_blocked");
}

#[tokio::test]
async fn spent_budget_is_final_and_a_full_one_is_not() {
    let mock = MockProvider::start().await;
    let setup = |limit| {
        Setup::at(&mock.base_url())
            .copy(|copy| copy.meters = vec![Arc::new(meter("money", MeterKind::Money, limit))])
    };
    let world = setup(0).start();
    let answer = world.chat(&streamed_question()).await;
    is_refused(&world, &mock, &answer, 402, "budget_exceeded");
    assert_eq!(answer.header("x-should-retry"), "false");
    assert_eq!(answer.header("retry-after"), "");
    let details = &answer.json()["error"]["details"];
    assert!(details.is_object(), "{}", answer.text());
}

#[tokio::test]
async fn full_rate_limit_says_when_to_come_back() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .copy(|copy| copy.meters = vec![Arc::new(meter("requests", MeterKind::Requests, 1))])
        .start();
    assert_eq!(world.chat(&question()).await.status, 200);
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (429, "request_limited".to_owned()));
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 60);
    assert_eq!(answer.header("x-should-retry"), "false");
}

#[tokio::test]
async fn too_many_at_once() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .config(|config| config.max_concurrent_requests = 0)
        .start();
    let answer = world.chat(&question()).await;
    is_refused(&world, &mock, &answer, 503, "overloaded");
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(
        world.metric("tollgate_proxy_in_flight_requests").unwrap(),
        "0"
    );
}
