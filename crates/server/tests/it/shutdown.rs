//! SIGTERM under load: running answers finish, everything is settled, nothing new is begun.

use serde_json::Value;
use tokio::task::JoinSet;
use tollgate_testkit::provider::{Chat, Gate};

use crate::black_box::{Stage, bound, chat, cost};

const STREAMS: usize = 40;
const PLAIN: usize = 20;

#[tokio::test]
async fn running_answers_finish_and_are_settled() {
    let Stage {
        mut gateway,
        provider,
        caller,
    } = Stage::new(100.0, "estimate").await;
    let gate = Gate::new();
    provider.always(Chat::default().usage(50, 9).gated(&gate));
    let mut clients = JoinSet::new();
    for number in 0..STREAMS + PLAIN {
        let caller = caller.clone();
        clients.spawn(async move { caller.chat(&chat("small", 50, number < STREAMS)).await });
    }
    provider.wait_for(STREAMS + PLAIN).await;
    // Some streams are in their middle.
    gate.pass(STREAMS / 2);
    provider
        .wait_until(|exchanges| exchanges.iter().any(|exchange| exchange.billed.output > 0))
        .await;
    gateway.terminate();
    gateway.wait_for_output("stopping").await;
    // Nobody may be listening any more; whoever still does refuses.
    if let Ok(refused) = caller.chat(&chat("small", 5, false)).await {
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.code(), "shutting_down");
        assert!(!refused.header("retry-after").is_empty());
    }
    gate.open();
    while let Some(answer) = clients.join_next().await {
        let answer = answer.unwrap().expect("a whole answer");
        assert_eq!(answer.status, 200, "{answer:?}");
        let is_stream = answer
            .header("content-type")
            .starts_with("text/event-stream");
        assert!(
            !is_stream || answer.text.ends_with("data: [DONE]\n\n"),
            "{answer:?}"
        );
    }
    let gateway = gateway.restarted().await;
    let caller = caller.at(&gateway);
    assert_eq!(provider.exchanges().len(), STREAMS + PLAIN);
    let answers = i64::try_from(STREAMS + PLAIN).unwrap();
    assert_eq!(caller.spent().await, answers * cost(50, 9));
    assert_eq!(caller.reserved().await, 0);
}

#[tokio::test]
async fn second_signal_drops_what_runs_and_charges_it() {
    let Stage {
        mut gateway,
        provider,
        caller,
    } = Stage::new(100.0, "bound").await;
    provider.always(Chat::default().gated(&Gate::new()));
    let body = chat("small", 50, true);
    let most = bound(body.to_string().len(), 50);
    let mut clients = JoinSet::new();
    for _ in 0..STREAMS {
        let (caller, body) = (caller.clone(), body.clone());
        clients.spawn(async move { caller.chat(&body).await });
    }
    provider.wait_for(STREAMS).await;
    gateway.terminate();
    gateway.wait_for_output("stopping").await;
    gateway.terminate();
    while let Some(answer) = clients.join_next().await {
        let whole = answer
            .unwrap()
            .is_ok_and(|answer| answer.text.contains("[DONE]"));
        assert!(!whole, "nothing passed the gate");
    }
    let gateway = gateway.restarted().await;
    let caller = caller.at(&gateway);
    let spent = caller.spent().await;
    let billed: i64 = provider
        .exchanges()
        .iter()
        .map(|exchange| cost(exchange.billed.input, exchange.billed.output))
        .sum();
    let all = i64::try_from(STREAMS).unwrap() * most;
    assert!(
        billed <= spent && spent <= all,
        "{billed} ≤ {spent} ≤ {all}"
    );
    assert_eq!(caller.reserved().await, 0);
}

#[tokio::test]
async fn policy_and_counters_outlive_a_restart() {
    let Stage {
        gateway,
        provider,
        caller,
    } = Stage::with_a_dollar().await;
    let answer = caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let before = caller.budget().await;
    let gateway = gateway.stopped_and_restarted().await;
    let caller = caller.at(&gateway);
    let unchanged = |budget: &Value| {
        let field = |name: &str| budget[name].clone();
        ["id", "max_limit", "current_usage", "resets_at"].map(field)
    };
    assert_eq!(unchanged(&caller.budget().await), unchanged(&before));
    let answer = caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(caller.spent().await, 2 * cost(10, 3));
    assert_eq!(provider.exchanges().len(), 2);
}
