//! Webhooks.

use serde_json::json;

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
