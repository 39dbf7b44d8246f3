//! Limits that count: requests, tokens, requests at once.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Behaviour, Chat, End, Gate, Script};

use super::crowd::{Crowd, half, upstream, varied};
use crate::black_box::{Answer, Stage, chat};

async fn limited(rate_limit: Value) -> Stage {
    Stage::with_profile(&json!({
        "budgets": [],
        "rate_limit": rate_limit,
        "reservation": "bound",
    }))
    .await
}

async fn rate_limit(stage: &Stage) -> Value {
    let path = format!(
        "/api/governance/users/{}/access-profiles",
        stage.caller.user_id
    );
    let copies = stage.gateway.admin().get(&path).await;
    copies["access_profiles"][0]["rate_limit"].clone()
}

#[tokio::test]
async fn exactly_as_many_requests_as_the_limit_says_are_sent() {
    let stage = limited(json!({"request_max_limit": 50, "request_reset_duration": "1h"})).await;
    // A request counts once it was sent, whatever becomes of it.
    for _ in 0..7 {
        stage.provider.next(Script::error(503, &[], "not now"));
    }
    let mut clients = JoinSet::new();
    for client in 0..150 {
        let caller = stage.caller.clone();
        clients.spawn(async move { caller.chat(&varied(client, 0)).await.unwrap() });
    }
    let (mut answered, mut failed) = (0, 0);
    while let Some(answer) = clients.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            200 => answered += 1,
            503 => failed += 1,
            _ => assert_eq!(
                (answer.status, answer.code().as_str()),
                (429, "request_limited")
            ),
        }
    }
    assert_eq!((answered, failed), (43, 7));
    assert_eq!(stage.provider.exchange_count(), 50);
    assert_eq!(rate_limit(&stage).await["request_current_usage"], 50);
}

#[tokio::test]
async fn tokens_reach_their_limit_and_do_not_pass_it() {
    let limit = 40_000;
    let stage = limited(json!({"token_max_limit": limit, "token_reset_duration": "1h"})).await;
    stage.provider.always(upstream(half));
    let crowd = Crowd {
        clients: 100,
        usage: half,
        request: varied,
    };
    let outcome = crowd
        .ask(std::slice::from_ref(&stage.caller), async || ())
        .await;
    let used = rate_limit(&stage).await["token_current_usage"]
        .as_u64()
        .unwrap();
    assert_eq!(used, outcome.tokens);
    assert!(
        limit - outcome.largest_tokens < used && used <= limit,
        "{used} of {limit}, largest {}",
        outcome.largest_tokens
    );
    assert_eq!(outcome.refused_by("token_limited", "access_profile"), 100);
}

/// How many requests run, as the holder sees it.
async fn running(stage: &Stage) -> u64 {
    let quota = stage.caller.quota().await;
    let limits = quota["limits"].as_array().unwrap();
    let parallel = limits
        .iter()
        .find(|limit| limit["kind"] == "parallel_requests");
    parallel.unwrap()["reserved"].as_u64().unwrap()
}

/// So many ask at once, of whom the limit lets some through, who then wait at the gate.
async fn crowd_at(stage: &Stage, passed: usize, gate: &Gate) -> JoinSet<Answer> {
    stage
        .provider
        .always(Behaviour::from(Chat::default().gated(gate)));
    let before = stage.provider.exchange_count();
    let mut clients = JoinSet::new();
    for client in 0..60 {
        let caller = stage.caller.clone();
        let body = chat("small", 5, client % 2 == 0);
        clients.spawn(async move { caller.chat(&body).await.unwrap() });
    }
    for _ in passed..60 {
        let refused = clients.join_next().await.unwrap().unwrap();
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (429, "concurrency_limited"),
            "{refused:?}"
        );
        assert!(!refused.header("retry-after").is_empty());
    }
    stage.provider.wait_for_count(before + passed).await;
    assert_eq!(stage.provider.exchange_count(), before + passed);
    clients
}

#[tokio::test]
async fn no_more_run_at_once_than_the_limit_says_and_slots_come_back() {
    let stage = limited(json!({"max_parallel_requests": 7})).await;
    // Answered in good order.
    let gate = Gate::new();
    let mut clients = crowd_at(&stage, 7, &gate).await;
    assert_eq!(running(&stage).await, 7);
    gate.open();
    while let Some(answer) = clients.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
    // Left alone by their clients.
    let gate = Gate::new();
    let mut clients = crowd_at(&stage, 7, &gate).await;
    clients.shutdown().await;
    gate.open();
    stage
        .provider
        .wait_until(|exchanges| {
            exchanges
                .iter()
                .all(|exchange| exchange.end != End::Running)
        })
        .await;
    while running(&stage).await != 0 {
        tokio::task::yield_now().await;
    }
    // And broken off by the upstream.
    for fault in 0..7 {
        let script = if fault % 2 == 0 {
            Script::reset()
        } else {
            Script::garbage()
        };
        stage.provider.next(script);
        let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
        assert_eq!(answer.status, 502, "{answer:?}");
    }
    let gate = Gate::new();
    let mut clients = crowd_at(&stage, 7, &gate).await;
    gate.open();
    while let Some(answer) = clients.join_next().await {
        assert_eq!(answer.unwrap().status, 200);
    }
}
