//! Corrections of money whose caller never hears the answer and asks again: they are made once, wherever the process
//! dies between the journal's record and the stored answer.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_testkit::provider::{Chat, Gate};

use super::DATA;
use crate::black_box::{
    ADMIN_KEY, ANY, Action, Gateway, Place, Plan, Stage, chat, http_client, nanos,
};

/// Calls on the disk from the first to the last of a correction, and then some.
const CALLS: u64 = 6;
const DEBIT: i64 = 1_000_000;

/// Sends a correction that its caller names; `None` when nothing came back, or nothing good.
async fn correct(gateway: &Gateway, path: &str, body: &Value, key: &str) -> Option<Value> {
    let answer = http_client()
        .post(format!("{}/api/governance/{path}", gateway.url))
        .bearer_auth(ADMIN_KEY)
        .header("idempotency-key", key)
        .json(body)
        .send()
        .await
        .ok()?;
    let is_success = answer.status().is_success();
    let text = answer.text().await.ok()?;
    is_success.then(|| serde_json::from_str(&text).unwrap())
}

/// Dies with this many requests on the way, which are charged in doubt.
async fn charge_in_doubt(stage: Stage, count: u64) -> Stage {
    let gate = Gate::new();
    let heard = stage.provider.exchange_count();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..count {
        stage.provider.next(Chat::default().gated(&gate));
        let caller = stage.caller.clone();
        clients.spawn(async move { caller.chat(&chat("small", 50, false)).await });
    }
    let all = heard + usize::try_from(count).unwrap();
    stage.provider.wait_for_count(all).await;
    let gateway = stage.gateway.killed_and_restarted().await;
    clients.join_all().await;
    Stage {
        caller: stage.caller.at(&gateway),
        gateway,
        ..stage
    }
}

async fn killed_while_it_corrects(place: Place) {
    let stage = Stage::at(place, 1_000.0, "bound").await;
    let mut stage = charge_in_doubt(stage, CALLS * 2).await;
    let line = stage.caller.budget().await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let listed = stage
        .gateway
        .admin()
        .get("/api/governance/in-doubt?limit=100")
        .await;
    let in_doubt = listed["in_doubt"].as_array().unwrap().clone();
    assert_eq!(in_doubt.len(), usize::try_from(CALLS * 2).unwrap());
    let mut expected = stage.caller.spent().await;
    let (mut corrections, mut unheard) = (0, 0);
    for after in 0..CALLS {
        for action in [Action::KillBefore, Action::KillAfter] {
            let row = &in_doubt[corrections];
            let resolve = format!("in-doubt/{}/resolve", row["id"].as_str().unwrap());
            let asked = [
                (
                    format!("budgets/{line}/adjust"),
                    json!({"delta": 0.001, "reason": "a test"}),
                    DEBIT,
                ),
                (
                    resolve,
                    json!({"amount": 0, "reason": "a test"}),
                    -nanos(&row["amount_charged"]),
                ),
            ];
            for (path, body, change) in asked {
                let key = format!("{path} {corrections}");
                let plan = Plan::once(DATA, ANY, action).after(after);
                stage.gateway.faults().strike(plan);
                let heard = correct(&stage.gateway, &path, &body, &key).await;
                unheard += u64::from(heard.is_none());
                let place = Arc::clone(&stage.gateway.place);
                drop(stage.gateway.killed().await);
                place.heal();
                stage.gateway = Gateway::spawn(place).await;
                stage.caller = stage.caller.at(&stage.gateway);
                for _ in 0..2 {
                    let again = correct(&stage.gateway, &path, &body, &key).await;
                    assert!(again.is_some(), "{action:?} after {after}: {path}");
                }
                expected += change;
                assert_eq!(
                    stage.caller.spent().await,
                    expected,
                    "{action:?} after {after}: {path}"
                );
            }
            corrections += 1;
        }
    }
    assert!(unheard > 3, "{unheard} died before the answer");
    for action in ["adjust", "resolve"] {
        let path = format!("/api/governance/audit-logs?action={action}&limit=1");
        let trail = stage.gateway.admin().get(&path).await;
        assert_eq!(trail["total_count"], corrections, "{action}");
    }
}

#[tokio::test]
async fn correction_is_made_once_wherever_the_process_dies() {
    killed_while_it_corrects(Place::with_faults()).await;
}

#[tokio::test]
async fn correction_is_made_once_wherever_the_process_dies_beside_postgres() {
    killed_while_it_corrects(Place::with_faults().on_postgres()).await;
}

/// The journal has it, the database has neither it nor an answer.
#[tokio::test]
async fn correction_that_the_database_has_not_seen_is_known_after_a_crash() {
    let stage = Stage::at(Place::with_faults(), 1_000.0, "bound").await;
    let line = stage.caller.budget().await["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("budgets/{line}/adjust");
    let body = json!({"delta": 0.001, "reason": "a test"});
    let faults = stage.gateway.faults();
    faults.strike(Plan::always(
        "/data/tollgate.db",
        ANY,
        Action::Fail(crate::black_box::Errno::Io),
    ));
    assert!(
        correct(&stage.gateway, &path, &body, "credit")
            .await
            .is_none()
    );
    assert_eq!(stage.caller.spent().await, DEBIT, "it holds all the same");
    assert!(
        correct(&stage.gateway, &path, &body, "credit")
            .await
            .is_none()
    );
    assert_eq!(stage.caller.spent().await, DEBIT);
    let place = stage.gateway.killed().await;
    place.heal();
    let gateway = Gateway::spawn(place).await;
    let caller = stage.caller.at(&gateway);
    let answer = correct(&gateway, &path, &body, "credit").await.unwrap();
    assert_eq!(nanos(&answer["budget"]["used"]), DEBIT);
    assert_eq!(caller.spent().await, DEBIT);
    // Another request under the same name is none of it.
    let other = json!({"delta": 0.002, "reason": "a test"});
    assert!(correct(&gateway, &path, &other, "credit").await.is_none());
    assert_eq!(caller.spent().await, DEBIT);
}
