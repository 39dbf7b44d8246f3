//! Limits above each other, each at its edge in its turn.

use serde_json::{Value, json};

use super::DOLLAR;
use super::crowd::{Crowd, half, upstream, varied};
use crate::black_box::{Caller, Stage, nanos};

const CROWD: Crowd = Crowd {
    clients: 60,
    usage: half,
    request: varied,
};

fn dollars(amount: f64) -> Value {
    json!([{"max_limit": amount, "reset_duration": "1d"}])
}

/// A key of the team, with a budget of its own. Yields its id, and who calls with it.
async fn key(stage: &Stage, team: &Value, name: &str, budget: f64) -> (String, Caller) {
    let key = json!({
        "name": name,
        "team_id": team,
        "provider_configs": [{"provider": "mock", "all_models_allowed": true}],
        "budgets": dollars(budget),
        "reservation": "bound",
    });
    let admin = stage.gateway.admin();
    let answer = admin.post("/api/governance/virtual-keys", &key).await;
    let key = &answer["virtual_key"];
    let mut caller = stage.caller.clone();
    key["value"].as_str().unwrap().clone_into(&mut caller.key);
    (key["id"].as_str().unwrap().to_owned(), caller)
}

async fn spent(stage: &Stage, path: &str, kind: &str) -> i64 {
    let answer = stage.gateway.admin().get(path).await;
    let budget = &answer[kind]["budgets"][0];
    assert_eq!(nanos(&budget["reserved"]), 0, "{answer}");
    nanos(&budget["current_usage"])
}

#[tokio::test]
async fn key_team_user_and_model_each_stop_a_crowd_at_their_edge() {
    let stage = Stage::new(1.0, "bound").await;
    stage.provider.always(upstream(half));
    let admin = stage.gateway.admin();
    let team = json!({"name": "research", "budgets": dollars(0.15), "reservation": "bound"});
    let team = admin.post("/api/governance/teams", &team).await;
    let team = &team["team"]["id"];
    let team_path = format!("/api/governance/teams/{}", team.as_str().unwrap());

    // The key's own budget is the tightest.
    let (first_id, first) = key(&stage, team, "first", 0.06).await;
    let outcome = CROWD.ask(&[first], async || ()).await;
    let by_first = spent(
        &stage,
        &format!("/api/governance/virtual-keys/{first_id}"),
        "virtual_key",
    )
    .await;
    let at_the_edge = |spent: i64, limit: i64, largest: i64| {
        assert!(
            limit - largest < spent && spent <= limit,
            "{spent} of {limit}, largest {largest}"
        );
    };
    at_the_edge(by_first, DOLLAR / 100 * 6, outcome.largest);
    assert_eq!(by_first, outcome.answered);
    assert_eq!(outcome.refused_by("budget_exceeded", "virtual_key"), 60);
    assert_eq!(spent(&stage, &team_path, "team").await, by_first);

    // Two other keys have room of their own, and share what the team has left.
    let (_, second) = key(&stage, team, "second", 0.5).await;
    let (_, third) = key(&stage, team, "third", 0.5).await;
    let outcome = CROWD.ask(&[second, third], async || ()).await;
    let by_team = spent(&stage, &team_path, "team").await;
    at_the_edge(by_team, DOLLAR / 100 * 15, outcome.largest);
    assert_eq!(by_team, by_first + outcome.answered);
    assert_eq!(outcome.refused_by("budget_exceeded", "team"), 60);

    // A user, whose copy has room, has a limit over all models; the team is charged as well, and has room again.
    let wider = json!({"budgets": dollars(10.0)});
    admin
        .call(reqwest::Method::PUT, &team_path, Some(&wider))
        .await;
    let user = &stage.caller.user_id;
    let member = json!({"user_id": user});
    admin.post(&format!("{team_path}/members"), &member).await;
    let of_user =
        json!({"model_name": "*", "scope": "user", "scope_id": user, "budgets": dollars(0.05)});
    admin.post("/api/governance/model-configs", &of_user).await;
    let outcome = CROWD
        .ask(std::slice::from_ref(&stage.caller), async || ())
        .await;
    at_the_edge(outcome.answered, DOLLAR / 100 * 5, outcome.largest);
    assert_eq!(stage.caller.spent().await, outcome.answered);
    let limits = admin.get("/api/governance/model-configs").await;
    let of_user = nanos(&limits["model_configs"][0]["budgets"][0]["current_usage"]);
    assert_eq!(of_user, outcome.answered);
    assert_eq!(outcome.refused.values().sum::<u64>(), 60, "{outcome:?}");
    let by_member = outcome.answered;
    let team_spent = spent(&stage, &team_path, "team").await;
    assert_eq!(team_spent, by_team + by_member);

    // A model that everybody shares.
    let of_model = json!({"model_name": "small", "provider": "mock", "budgets": dollars(0.04)});
    admin.post("/api/governance/model-configs", &of_model).await;
    let (_, fourth) = key(&stage, team, "fourth", 0.5).await;
    let (_, fifth) = key(&stage, team, "fifth", 0.5).await;
    let outcome = CROWD.ask(&[fourth, fifth], async || ()).await;
    at_the_edge(outcome.answered, DOLLAR / 100 * 4, outcome.largest);
    assert_eq!(outcome.refused.values().sum::<u64>(), 60, "{outcome:?}");
    assert!(
        outcome
            .refused
            .keys()
            .all(|(_, holder)| holder != "team" && holder != "virtual_key")
    );
}
