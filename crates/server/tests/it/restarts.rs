//! What happens by time happens once, also when its time comes while the process is down; keys keep their ids and
//! counters through it.

use std::sync::Arc;

use serde_json::{Value, json};
use tollgate_domain::Timestamp;
use tollgate_testkit::provider::MockProvider;

use crate::black_box::{Answer, Caller, Gateway, Place, Stage, chat, cost, http_client};

const HOUR: i64 = 3_600;
/// What the default answer costs.
const ANSWER: i64 = cost(10, 3);
const KEYS: &str = "/api/governance/virtual-keys";

/// Stops it, lets its clock show `seconds` more than ours, and starts it again.
async fn wakes_up_after(gateway: Gateway, seconds: i64) -> Gateway {
    let place = gateway.killed().await;
    let faults = place.faults.as_ref().expect("a clock that can be set");
    faults.set_clock(seconds);
    Gateway::spawn(place).await
}

async fn ask(caller: &Caller, key: &str) -> Answer {
    let mut caller = caller.clone();
    key.clone_into(&mut caller.key);
    caller.chat(&chat("small", 5, false)).await.unwrap()
}

/// A user whose copy of the profile ends so many seconds after the user was made; the user's key.
async fn add_guest(gateway: &Gateway, profile: &Value, name: &str, seconds: i64) -> String {
    let admin = gateway.admin();
    let user = json!({"name": name, "email": format!("{name}@example.com")});
    let user = admin.post("/api/governance/users", &user).await["user"].clone();
    let made: Timestamp = user["created_at"].as_str().unwrap().parse().unwrap();
    let body = json!({
        "access_profile_id": profile,
        "expires_at": made.saturating_add_micros(seconds * 1_000_000),
    });
    let id = user["id"].as_str().unwrap();
    let path = format!("/api/governance/users/{id}/access-profiles");
    let assigned = admin.post(&path, &body).await;
    assigned["virtual_key"]["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// Waits until the trail says that so many copies have ended; whose they were.
async fn ended(gateway: &Gateway, count: usize) -> Vec<Value> {
    let path = "/api/governance/access-profiles/audit-logs?action=expire";
    loop {
        let logs = gateway.admin().get(path).await["audit_logs"].clone();
        let logs = logs.as_array().unwrap();
        assert!(logs.len() <= count, "{logs:?}");
        if logs.len() == count {
            return logs.iter().map(|entry| entry["user_id"].clone()).collect();
        }
    }
}

#[tokio::test]
async fn a_copy_that_ends_while_the_gateway_is_down_has_ended_when_it_is_back_and_is_told_of_once()
{
    let stage = Stage::at(Place::with_faults(), 1.0, "bound").await;
    let Stage {
        gateway,
        caller,
        provider: _provider,
    } = stage;
    let profiles = gateway.admin().get("/api/governance/access-profiles").await;
    let profile = &profiles["access_profiles"][0]["id"];
    let first = add_guest(&gateway, profile, "first", HOUR).await;
    let second = add_guest(&gateway, profile, "second", 3 * HOUR).await;
    for key in [&first, &second] {
        assert_eq!(ask(&caller, key).await.status, 200);
    }

    let gateway = wakes_up_after(gateway, 2 * HOUR).await;
    let caller = caller.at(&gateway);
    let refused = ask(&caller, &first).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (403, "access_blocked")
    );
    assert_eq!(ask(&caller, &second).await.status, 200);
    let told = ended(&gateway, 1).await;

    let gateway = wakes_up_after(gateway, 4 * HOUR).await;
    let caller = caller.at(&gateway);
    assert_eq!(ask(&caller, &second).await.code(), "access_blocked");
    let both = ended(&gateway, 2).await;
    assert_eq!(both[1], told[0], "newest first, and the first only once");
    assert_ne!(both[0], told[0]);
    assert_eq!(ask(&caller, &caller.key).await.status, 200);
}

#[tokio::test]
async fn a_key_that_was_rotated_keeps_id_counters_and_grace_through_restarts() {
    let stage = Stage::at(Place::with_faults(), 1.0, "bound").await;
    let Stage {
        gateway,
        caller,
        provider: _provider,
    } = stage;
    let old = caller.key.clone();
    assert_eq!(ask(&caller, &old).await.status, 200);
    let keys = gateway.admin().get(KEYS).await;
    let id = keys["virtual_keys"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("{KEYS}/{id}/rotate");
    let rotated = gateway.admin().post(&path, &json!({"grace": "1h"})).await;
    assert_eq!(rotated["virtual_key"]["id"], id.as_str());
    let new = rotated["virtual_key"]["value"].as_str().unwrap();

    let gateway = gateway.killed_and_restarted().await;
    let caller = caller.at(&gateway);
    for key in [old.as_str(), new] {
        assert_eq!(ask(&caller, key).await.status, 200);
    }
    assert_eq!(caller.spent().await, 3 * ANSWER);

    let gateway = wakes_up_after(gateway, 2 * HOUR).await;
    let caller = caller.at(&gateway);
    let refused = ask(&caller, &old).await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (401, "virtual_key_not_found")
    );
    assert_eq!(ask(&caller, new).await.status, 200);
    assert_eq!(caller.spent().await, 4 * ANSWER);
    let keys = gateway.admin().get(KEYS).await;
    assert_eq!(keys["virtual_keys"][0]["id"], id.as_str());
    assert_eq!(keys["total_count"], 1);
}

#[tokio::test]
async fn a_rotation_that_is_due_while_the_gateway_is_down_is_made_once_when_it_is_back() {
    let provider = MockProvider::start().await;
    let gateway = Gateway::spawn(Arc::new(Place::with_faults())).await;
    let fields = json!({
        "budgets": [{"max_limit": 1, "reset_duration": "1w"}],
        "auto_rotation_interval": "24h",
    });
    let upstream = provider.base_url();
    let caller = Caller::with_profile(&gateway, &upstream, &json!({}), &fields).await;
    let old = caller.key.clone();
    assert_eq!(ask(&caller, &old).await.status, 200);
    let before = gateway.admin().get(KEYS).await["virtual_keys"][0].clone();

    let gateway = wakes_up_after(gateway, 25 * HOUR).await;
    let caller = caller.at(&gateway);
    let after = loop {
        let key = gateway.admin().get(KEYS).await["virtual_keys"][0].clone();
        if key["value"] != before["value"] {
            break key;
        }
    };
    assert_eq!(after["id"], before["id"]);
    assert_eq!(
        ask(&caller, &old).await.status,
        200,
        "until it is collected"
    );
    let collect = http_client().post(format!("{}{KEYS}/collect", gateway.url));
    let collected = collect.bearer_auth(&old).send().await.unwrap();
    assert_eq!(collected.status(), 200);
    let collected: Value = collected.json().await.unwrap();
    let new = collected["virtual_key"]["value"].as_str().unwrap();
    assert_eq!(ask(&caller, new).await.status, 200);

    let gateway = wakes_up_after(gateway, 26 * HOUR).await;
    let caller = caller.at(&gateway);
    assert_eq!(ask(&caller, new).await.status, 200);
    assert_eq!(caller.spent().await, 4 * ANSWER);
    let key = gateway.admin().get(KEYS).await["virtual_keys"][0].clone();
    assert_eq!((&key["id"], &key["value"]), (&after["id"], &after["value"]));
    let trail = "/api/governance/audit-logs?action=rotate";
    assert_eq!(gateway.admin().get(trail).await["total_count"], 1);
}
