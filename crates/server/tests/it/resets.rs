//! Usage that a propagation sets back to zero, in a process that dies between storing that and doing it.

use serde_json::json;

use crate::black_box::{
    ADMIN_KEY, Action, Caller, Errno, Gateway, Place, Plan, Stage, WRITE, chat, cost, http_client,
};

/// What the default answer costs.
const ANSWER: i64 = cost(10, 3);

#[tokio::test]
async fn usage_is_reset_once_when_the_process_dies_before_the_ledger_has_done_it() {
    let stage = Stage::at(Place::with_faults(), 1.0, "bound").await;
    let Stage {
        gateway,
        caller,
        provider: _provider,
    } = stage;
    let ask = async |caller: &Caller| {
        let answer = caller.chat(&chat("small", 5, false)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    ask(&caller).await;
    assert_eq!(caller.spent().await, ANSWER);

    // The copy is stored; the journal does not take the reset.
    let path = "/api/governance/access-profiles";
    let profiles = gateway.admin().get(path).await;
    let id = profiles["access_profiles"][0]["id"].to_string();
    let run = json!({"fields": ["budgets"], "reset_usage": true});
    let faults = gateway.faults();
    faults.strike(Plan::always(
        "/data/journal/",
        WRITE,
        Action::Fail(Errno::Io),
    ));
    let request = http_client()
        .post(format!("{}{path}/{id}/propagate", gateway.url))
        .bearer_auth(ADMIN_KEY)
        .json(&run);
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 503);
    let place = gateway.killed().await;
    place.heal();

    let gateway = Gateway::spawn(place).await;
    let caller = caller.at(&gateway);
    assert_eq!(caller.spent().await, 0);
    ask(&caller).await;
    // Killed before or after the database has heard of it: it is not done again.
    let gateway = gateway.killed_and_restarted().await;
    let caller = caller.at(&gateway);
    assert_eq!(caller.spent().await, ANSWER);
    let gateway = gateway.stopped_and_restarted().await;
    assert_eq!(caller.at(&gateway).spent().await, ANSWER);
}
