//! One counter, many readers: whoever shows what was spent shows the same number, and every kind of token has its price.

use reqwest::Method;
use serde_json::{Value, json};
use tollgate_domain::TokenUsage;
use tollgate_testkit::provider::Chat;

use crate::black_box::{Stage, chat, nanos};

/// Dollars a million tokens, all different.
const PRICES: [(&str, i64); 5] = [
    ("input_usd_per_million", 7),
    ("output_usd_per_million", 31),
    ("cache_read_usd_per_million", 2),
    ("cache_write_usd_per_million", 11),
    ("reasoning_usd_per_million", 43),
];

fn usage() -> TokenUsage {
    TokenUsage {
        input: 101,
        cache_read: 1_003,
        output: 57,
        reasoning: 301,
        ..TokenUsage::default()
    }
}

/// Of one answer with [`usage`], in nano-dollars.
const ANSWER: i64 = (101 * 7 + 1_003 * 2 + 57 * 31 + 301 * 43) * 1_000;

async fn priced(max_limit: f64) -> Stage {
    let stage = Stage::new(max_limit, "estimate").await;
    let price: Value = PRICES
        .iter()
        .map(|(name, dollars)| ((*name).to_owned(), json!(dollars)))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let admin = stage.gateway.admin();
    admin
        .call(Method::PUT, "/api/pricing/mock/small", Some(&price))
        .await;
    stage.provider.always(Chat::default().full_usage(usage()));
    stage
}

fn header_nanos(text: &str) -> i64 {
    nanos(&json!(text.parse::<f64>().unwrap()))
}

#[tokio::test]
async fn quota_log_metrics_headers_and_refusal_show_the_same_number() {
    let limit = 10 * ANSWER;
    let stage = priced(0.174_23).await;
    assert_eq!(limit, 174_230_000, "ten answers");
    for number in 1..=10 {
        // An id of the client's is a label: each request is charged, and logged under an id of ours.
        let request = stage
            .caller
            .request("/v1/chat/completions")
            .header("x-request-id", "mine");
        let body = chat("small", 1, number % 2 == 0);
        let answer = request.json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
        };
        assert!(header("x-request-id").unwrap().starts_with("req_"));
        if let Some(cost) = header("x-tollgate-cost-usd") {
            assert_eq!(header_nanos(&cost), ANSWER);
            let remaining = header("x-tollgate-budget-remaining-usd").unwrap();
            assert_eq!(header_nanos(&remaining), limit - number * ANSWER);
        }
        answer.bytes().await.unwrap();

        assert_eq!(stage.caller.spent().await, number * ANSWER);
        let quota = stage.caller.quota().await;
        let money = quota["limits"]
            .as_array()
            .unwrap()
            .iter()
            .find(|limit| limit["kind"] == "money");
        assert_eq!(nanos(&money.unwrap()["used"]), number * ANSWER);
        let metric = r#"tollgate_cost_nanodollars_total{provider="mock"}"#;
        assert_eq!(stage.gateway.metric(metric).await, number * ANSWER);
    }
    let path = format!(
        "/api/governance/users/{}/effective-policy",
        stage.caller.user_id
    );
    let policy = stage.gateway.admin().get(&path).await.to_string();
    assert!(policy.contains(r#""used":0.17423"#), "{policy}");

    let refused = stage.caller.chat(&chat("small", 1, false)).await.unwrap();
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (402, "budget_exceeded")
    );
    let details = &refused.json()["error"]["details"];
    assert_eq!(nanos(&details["used"]), limit);
    assert_eq!(nanos(&details["remaining"]), 0);
    assert_eq!(
        stage.gateway.metric("tollgate_bound_breaches_total").await,
        0
    );

    let gateway = stage.gateway.stopped_and_restarted().await;
    let admin = gateway.admin();
    let (rows, logged) = admin.logged().await;
    assert_eq!((rows, logged), (11, limit), "ten answers and a refusal");
    let stats = admin.get("/api/logs/stats").await;
    assert_eq!(nanos(&stats["total"]["cost_usd"]), limit);
    assert_eq!(stage.caller.at(&gateway).spent().await, limit);
}
