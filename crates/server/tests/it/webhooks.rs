//! A real webhook, told by the running binary.

use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_testkit::provider::{Chat, Exchange, MockProvider, ProviderRequest, Script};

use crate::black_box::{Admin, Gateway, Place, Stage, chat};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Retries at once, and three attempts in all.
fn impatient() -> Arc<Place> {
    let place = Place::new()
        .with("TOLLGATE_WEBHOOKS_RETRY_INITIAL", "1ms")
        .with("TOLLGATE_WEBHOOKS_RETRY_MAX", "1ms")
        .with("TOLLGATE_WEBHOOKS_MAX_ATTEMPTS", "3");
    Arc::new(place)
}

async fn add_webhook(admin: &Admin, receiver: &MockProvider, events: Value) -> String {
    let body =
        json!({"url": format!("{}/hook", receiver.base_url()), "events": events, "secret": SECRET});
    let made = admin.post("/api/webhooks", &body).await;
    made["webhook"]["id"].as_str().unwrap().to_owned()
}

/// The states and attempts of a webhook's deliveries, as soon as none is pending.
async fn ended(admin: &Admin, id: &str) -> Vec<(String, u64)> {
    loop {
        let list = admin.get(&format!("/api/webhooks/{id}/deliveries")).await;
        let deliveries = list["deliveries"].as_array().unwrap();
        let ends: Vec<_> = deliveries
            .iter()
            .map(|each| {
                let state = each["state"].as_str().unwrap().to_owned();
                (state, each["attempts"].as_u64().unwrap())
            })
            .collect();
        if !ends.is_empty() && ends.iter().all(|(state, _)| state != "pending") {
            return ends;
        }
    }
}

/// Verifies as the documentation tells receivers to.
fn verify(request: &ProviderRequest) {
    let key = STANDARD
        .decode(SECRET.trim_start_matches("whsec_"))
        .unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let body = std::str::from_utf8(&request.body).unwrap();
    let [id, time] = ["webhook-id", "webhook-timestamp"].map(|name| request.header(name));
    let signature = request.header("webhook-signature");
    let tag = STANDARD
        .decode(signature.strip_prefix("v1,").unwrap())
        .unwrap();
    hmac::verify(&key, format!("{id}.{time}.{body}").as_bytes(), &tag).unwrap();
    let forged = format!("{id}.{time}.{body} ");
    assert!(hmac::verify(&key, forged.as_bytes(), &tag).is_err());
}

#[tokio::test]
async fn a_webhook_is_told_again_after_an_error_and_given_up_in_the_end() {
    let gateway = Gateway::spawn(impatient()).await;
    let admin = gateway.admin();
    let receiver = MockProvider::start().await;
    receiver.always(Script::answer(200, &[], ""));
    receiver.next(Script::answer(500, &[], ""));
    let id = add_webhook(&admin, &receiver, json!(["access_profile.created"])).await;
    let profile = json!({"name": "P"});
    admin
        .post("/api/governance/access-profiles", &profile)
        .await;
    let exchanges = receiver.wait_for(2).await;
    for exchange in &exchanges {
        verify(&exchange.request);
        assert_eq!(exchange.request.json()["type"], "access_profile.created");
        assert_eq!(
            exchange.request.json()["data"]["values"]["name"],
            profile["name"]
        );
    }
    let ids = [0, 1].map(|at| exchanges[at].request.header("webhook-id").to_owned());
    assert_eq!(ids[0], ids[1], "one event, told twice");
    assert_eq!(ended(&admin, &id).await, [("delivered".to_owned(), 2)]);

    receiver.always(Script::answer(500, &[], ""));
    admin
        .post("/api/governance/access-profiles", &json!({"name": "Q"}))
        .await;
    receiver.wait_for(5).await;
    let ends = ended(&admin, &id).await;
    assert_eq!(ends, [("dead".to_owned(), 3), ("delivered".to_owned(), 2)]);
}

#[tokio::test]
async fn what_was_not_told_before_a_kill_is_told_after_it() {
    let gateway = Gateway::spawn(impatient()).await;
    let receiver = MockProvider::start().await;
    receiver.always(Script::hang());
    let id = add_webhook(&gateway.admin(), &receiver, json!(["user.created"])).await;
    let user = json!({"name": "Ada", "email": "ada@example.com"});
    gateway.admin().post("/api/governance/users", &user).await;
    receiver.wait_for(1).await;
    receiver.always(Script::answer(200, &[], ""));
    let gateway = gateway.killed_and_restarted().await;
    let exchanges = receiver.wait_for(2).await;
    assert_eq!(exchanges[0].request.body, exchanges[1].request.body);
    let ends = ended(&gateway.admin(), &id).await;
    assert_eq!(ends, [("delivered".to_owned(), 1)]);
}

#[tokio::test]
async fn a_spent_budget_is_told_of_once_also_after_a_restart() {
    spend_over_thresholds(Place::new()).await;
}

#[tokio::test]
async fn a_spent_budget_is_told_of_once_on_postgres() {
    spend_over_thresholds(Place::new().on_postgres()).await;
}

async fn spend_over_thresholds(place: Place) {
    // Every answer costs two thousandths of a dollar: two fifths of the budget.
    let stage = Stage::at(place, 0.005, "estimate").await;
    stage.provider.always(Chat::default().usage(1_000, 500));
    let admin = stage.gateway.admin();
    let receiver = MockProvider::start().await;
    receiver.always(Script::answer(200, &[], ""));
    let hook = add_webhook(&admin, &receiver, json!(["budget.threshold_reached"])).await;
    let profiles = admin.get("/api/governance/access-profiles").await;
    let id = &profiles["access_profiles"][0]["id"];
    let path = format!("/api/governance/access-profiles/{id}");
    let thresholds = json!({"alert_thresholds": [30, 80]});
    admin
        .call(reqwest::Method::PUT, &path, Some(&thresholds))
        .await;
    let fields = json!({"fields": ["settings"]});
    admin.post(&format!("{path}/propagate"), &fields).await;

    stage.caller.chat(&chat("small", 3, false)).await.unwrap();
    let first = receiver.wait_for(1).await.remove(0).request;
    verify(&first);
    let data = &first.json()["data"];
    assert_eq!(data["threshold_percent"], 30);
    assert_eq!(data["user_id"], stage.caller.user_id.as_str());
    assert_eq!(data["access_profile_id"], *id);
    assert_eq!(data["limit"], 0.005);
    assert_eq!(data["used"], 0.002);
    assert_eq!(data["holder"]["kind"], "access_profile");
    assert!(data["resets_at"].is_string() && data["window_start"].is_string());

    let gateway = stage.gateway.stopped_and_restarted().await;
    let caller = stage.caller.at(&gateway);
    let admin = gateway.admin();
    let trail = "/api/governance/audit-logs?action=reach_threshold";
    // The first threshold is told of no more; the next one is, when it is reached exactly.
    caller.chat(&chat("small", 3, false)).await.unwrap();
    let is_second = |request: &ProviderRequest| request.json()["data"]["threshold_percent"] == 80;
    let arrived = |exchanges: &[Exchange]| exchanges.iter().any(|each| is_second(&each.request));
    let exchanges = receiver.wait_until(arrived).await;
    let second = exchanges.iter().find(|each| is_second(&each.request));
    assert_eq!(second.unwrap().request.json()["data"]["used"], 0.004);
    caller.chat(&chat("small", 3, false)).await.unwrap();
    while admin.get("/api/logs").await["total_count"] != 3 {}
    assert_eq!(admin.get(trail).await["total_count"], 2);
    let ends = ended(&admin, &hook).await;
    assert!(ends.iter().all(|(state, _)| state == "delivered") && ends.len() == 2);
}
