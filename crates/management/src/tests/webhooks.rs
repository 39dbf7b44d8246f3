//! Webhooks.

use serde_json::json;
use tollgate_domain::Clock as _;
use tollgate_storage::webhooks::deliveries::{self, Attempt, Next};

use crate::test_app::{TestApp, on_both_engines};

const HOOKS: &str = "/api/webhooks";

fn hook(events: &[&str]) -> String {
    json!({"url": "https://hooks.example.com/x?token=1", "events": events, "secret": "a long secret"})
        .to_string()
}

on_both_engines!(webhook_is_made_read_changed_and_deleted);
async fn webhook_is_made_read_changed_and_deleted(app: TestApp) {
    let made = app
        .post(
            HOOKS,
            &hook(&["virtual_key.rotated", "access_profile.updated"]),
        )
        .await
        .expect(201);
    insta::assert_json_snapshot!(made.body);
    let path = format!("{HOOKS}/{}", made.text_at("/webhook/id"));
    assert_eq!(app.get(&path).await.expect(200).body, made.body);
    let same = app
        .put(&path, &made.body["webhook"].to_string())
        .await
        .expect(200);
    assert_eq!(same.body, made.body);
    let changed = app
        .put(
            &path,
            r#"{"url": "http://10.0.0.8/", "is_active": false, "secret": "another secret"}"#,
        )
        .await
        .expect(200);
    assert_eq!(changed.body["webhook"]["url"], "http://10.0.0.8/");
    let list = app.get(HOOKS).await.expect(200);
    assert_eq!(
        (&list.body["webhooks"][0], &list.body["total_count"]),
        (&changed.body["webhook"], &json!(1))
    );
    for text in [&made.text, &changed.text, &list.text] {
        assert!(!text.contains("secret"), "{text}");
    }
    let trail = app.get("/api/governance/audit-logs").await.expect(200);
    assert!(
        !trail.text.contains("a long secret") && !trail.text.contains("another secret"),
        "{}",
        trail.text
    );
    app.delete(&path).await.expect(200);
    for gone in [&path, &format!("{path}/deliveries")] {
        assert_eq!(app.get(gone).await.error().0, 404);
    }
    assert_eq!(app.put(&path, "{}").await.error().0, 404);
    assert_eq!(app.delete(&path).await.error().0, 404);
}

on_both_engines!(bad_webhooks_are_refused_with_every_problem);
async fn bad_webhooks_are_refused_with_every_problem(app: TestApp) {
    let body = json!({"url": "http://169.254.169.254/", "events": ["virtual_key.rotate"], "secret": "short"});
    let refused = app.post(HOOKS, &body.to_string()).await;
    assert_eq!(refused.error(), (400, "unusable_address", "/url"));
    assert!(
        refused.text.contains("did you mean `virtual_key.rotated`?"),
        "{}",
        refused.text
    );
    for (field, value) in [
        ("url", json!("http://169.254.169.254/latest")),
        ("url", json!("http://[::ffff:169.254.169.254]/")),
        ("url", json!("http://metadata.google.internal/")),
        ("url", json!("ftp://example.com")),
        ("url", json!("https://user:pass@example.com")),
        ("url", json!("https://example.com/#x")),
        (
            "url",
            json!(format!("https://example.com/{}", "x".repeat(2_048))),
        ),
        ("events", json!([])),
        ("secret", json!("1234567")),
        ("secret", json!("x".repeat(513))),
    ] {
        let mut body: serde_json::Value = serde_json::from_str(&hook(&["user.created"])).unwrap();
        body[field] = value.clone();
        let code = if field == "url" {
            "unusable_address"
        } else {
            "invalid_value"
        };
        assert_eq!(
            app.post(HOOKS, &body.to_string()).await.error(),
            (400, code, format!("/{field}").as_str()),
            "{value}"
        );
    }
    let all = json!({"url": "x", "events": [], "secret": ""});
    let refused = app.post(HOOKS, &all.to_string()).await;
    let problems = refused.body["extra_fields"]["errors"].as_array().unwrap();
    assert_eq!(problems.len(), 3, "{}", refused.text);
    assert_eq!(app.get(HOOKS).await.expect(200).body["total_count"], 0);
}

on_both_engines!(webhooks_are_few);
async fn webhooks_are_few(app: TestApp) {
    for _ in 0..100 {
        app.post(HOOKS, &hook(&["user.created"])).await.expect(201);
    }
    assert_eq!(
        app.post(HOOKS, &hook(&["user.created"])).await.error().1,
        "too_many"
    );
}

on_both_engines!(what_is_done_waits_for_the_webhooks_that_asked_for_it);
async fn what_is_done_waits_for_the_webhooks_that_asked_for_it(app: TestApp) {
    let profiles = app
        .post(
            HOOKS,
            &hook(&["access_profile.created", "access_profile.updated"]),
        )
        .await
        .expect(201)
        .text_at("/webhook/id");
    let users = app
        .post(HOOKS, &hook(&["user.created"]))
        .await
        .expect(201)
        .text_at("/webhook/id");
    let profile = app
        .add_profile(
            r#"{"name": "P", "budgets": [{"max_limit": 0.000000001, "reset_duration": "1d"}]}"#,
        )
        .await;
    let path = format!("/api/governance/access-profiles/{profile}");
    app.put(&path, r#"{"description": "new"}"#)
        .await
        .expect(200);
    // Neither an update that changes nothing nor a refused one is an event.
    app.put(&path, r#"{"description": "new"}"#)
        .await
        .expect(200);
    assert_eq!(app.put(&path, r#"{"name": ""}"#).await.error().0, 400);
    let list = app
        .get(&format!("{HOOKS}/{profiles}/deliveries?limit=1"))
        .await
        .expect(200);
    assert_eq!(
        (&list.body["count"], &list.body["total_count"]),
        (&json!(1), &json!(2))
    );
    let newest = &list.body["deliveries"][0];
    assert_eq!(
        (&newest["event"], &newest["state"], &newest["attempts"]),
        (
            &json!("access_profile.updated"),
            &json!("pending"),
            &json!(0)
        )
    );
    let payload = &newest["payload"];
    assert_eq!(payload["id"], newest["id"]);
    assert_eq!(payload["type"], newest["event"]);
    assert_eq!(payload["data"]["access_profile_id"], profile);
    assert_eq!(payload["data"]["values"]["description"], "new");
    assert!(
        list.text.contains(r#""max_limit":0.000000001"#),
        "{}",
        list.text
    );
    let trail = app.get(&format!("{path}/audit-logs")).await.expect(200);
    assert_eq!(trail.body["audit_logs"][0]["id"], newest["id"]);
    let other = format!("{HOOKS}/{users}/deliveries");
    assert_eq!(app.get(&other).await.expect(200).body["total_count"], 0);
    for state in ["pending", "delivered", "dead"] {
        let found = app
            .get(&format!("{HOOKS}/{profiles}/deliveries?state={state}"))
            .await
            .expect(200);
        let wanted = if state == "pending" { 2 } else { 0 };
        assert_eq!(found.body["total_count"], wanted, "{state}");
    }
    assert_eq!(
        app.get(&format!("{other}?state=lost")).await.error(),
        (400, "invalid_value", "/query/state")
    );
}

on_both_engines!(a_dead_letter_is_delivered_again_by_hand);
async fn a_dead_letter_is_delivered_again_by_hand(app: TestApp) {
    let id = app
        .post(HOOKS, &hook(&["access_profile.created"]))
        .await
        .expect(201)
        .text_at("/webhook/id");
    app.add_profile(r#"{"name": "P"}"#).await;
    let list = app.get(&format!("{HOOKS}/{id}/deliveries")).await;
    let event = list.text_at("/deliveries/0/id");
    let path = format!("{HOOKS}/{id}/deliveries/{event}/redeliver");
    let pending = app.post(&path, "").await;
    assert_eq!(pending.error(), (409, "delivery_pending", ""));

    let attempt = |next| Attempt {
        webhook: id.parse().unwrap(),
        event_id: event.parse().unwrap(),
        at: app.clock.now(),
        status: Some(500),
        error: Some("the answer was 500".to_owned()),
        next,
    };
    for (next, state) in [(Next::Dead, "dead"), (Next::Delivered, "delivered")] {
        let mut tx = app.store.begin().await.unwrap();
        deliveries::record(&mut tx, &attempt(next)).await.unwrap();
        let _nothing_to_publish = tx.commit().await.unwrap();
        app.clock.advance(std::time::Duration::from_mins(1));
        let again = app.post(&path, "").await.expect(200);
        let delivery = &again.body["delivery"];
        assert_eq!(delivery["id"], event);
        assert_eq!(
            (&delivery["state"], &delivery["attempts"]),
            (&json!("pending"), &json!(0))
        );
        assert_eq!(delivery["next_attempt_at"], json!(app.clock.now()));
        assert_eq!(delivery["last_status"], 500, "what was known stays known");
        let trail = app
            .get("/api/governance/audit-logs?action=redeliver&limit=1")
            .await;
        let entry = &trail.body["audit_logs"][0];
        assert_eq!(
            (&entry["target_kind"], &entry["target_id"]),
            (&json!("webhook"), &json!(id))
        );
        let metadata = entry["metadata"].as_str().unwrap();
        assert!(
            metadata.contains(&event) && metadata.contains(state),
            "{metadata}"
        );
    }
    for unknown in [
        format!("{HOOKS}/{id}/deliveries/aud_{:032x}/redeliver", 9),
        format!("{HOOKS}/wh_{:032x}/deliveries/{event}/redeliver", 9),
        format!("{HOOKS}/{id}/deliveries/x/redeliver"),
    ] {
        assert_eq!(app.post(&unknown, "").await.error().0, 404, "{unknown}");
    }
}
