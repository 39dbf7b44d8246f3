//! Virtual keys.

use http::Request;
use serde_json::json;
use tollgate_domain::Clock as _;
use tollgate_storage::virtual_keys::{self, Rotation, waiting};

use crate::secrets::{NewSecret, SystemSecrets, VIRTUAL_KEY_PREFIX};
use crate::state::Publisher as _;
use crate::test_app::{TestAnswer, TestApp, on_both_engines};

const KEYS: &str = "/api/governance/virtual-keys";
const QUOTA: &str = "/api/governance/virtual-keys/quota";

async fn opens(app: &TestApp, secret: &str) -> bool {
    let request = Request::builder()
        .uri(QUOTA)
        .header("x-tollgate-key", secret);
    app.send(request.body("".into()).unwrap()).await.status == 200
}

on_both_engines!(key_is_made_read_changed_and_deleted);
async fn key_is_made_read_changed_and_deleted(app: TestApp) {
    let body = r#"{"name": "CI", "provider_configs": [{"provider": "openai", "allowed_models": ["gpt-5"]}],
        "budgets": [{"max_limit": 5, "reset_duration": "1d"}], "calendar_aligned": true, "time_zone": "Asia/Tokyo"}"#;
    let made = app.post(KEYS, body).await.expect(201);
    let secret = made.text_at("/virtual_key/value");
    assert!(opens(&app, &secret).await);
    let path = format!("{KEYS}/{}", made.text_at("/virtual_key/id"));
    let read = app.get(&path).await.expect(200);
    assert!(!read.text.contains(&secret));
    assert_eq!(
        read.body["virtual_key"]["budgets"][0]["resets_at"],
        "2026-11-11T15:00:00Z"
    );
    assert_eq!(
        app.get(&format!("{KEYS}?search=ci")).await.expect(200).body["virtual_keys"][0],
        read.body["virtual_key"]
    );
    app.clock.advance(std::time::Duration::from_secs(1));
    let same = app
        .put(&path, &read.body["virtual_key"].to_string())
        .await
        .expect(200);
    assert_eq!(
        same.body["virtual_key"]["provider_configs"],
        read.body["virtual_key"]["provider_configs"]
    );
    assert_eq!(
        app.post(KEYS, r#"{"name": "ci"}"#).await.error(),
        (409, "name_taken", "/name")
    );
    app.put(&path, r#"{"is_active": false, "rate_limit": null}"#)
        .await
        .expect(200);
    app.delete(&path).await.expect(200);
    assert!(!opens(&app, &secret).await);
    assert_eq!(app.get(&path).await.error().0, 404);
}

on_both_engines!(bad_keys_are_refused);
async fn bad_keys_are_refused(app: TestApp) {
    let team = "team_00000000000000000000000000000001";
    let customer = "cust_00000000000000000000000000000001";
    for (body, code, place) in [
        (
            json!({"name": "x", "team_id": team, "customer_id": customer}),
            "inconsistent",
            "/customer_id",
        ),
        (
            json!({"name": "x", "team_id": customer}),
            "invalid_value",
            "/team_id",
        ),
        (
            json!({"name": "x", "team_id": team}),
            "unknown_reference",
            "/team_id",
        ),
        (
            json!({"name": "x", "provider_configs": [{"provider": "a"}, {"provider": "a"}]}),
            "inconsistent",
            "/provider_configs/1/provider",
        ),
        (
            json!({"name": "x", "mcp_configs": [{"mcp_client_name": "nobody"}]}),
            "unknown_reference",
            "/mcp_configs/0/mcp_client_name",
        ),
        (json!({"name": ""}), "invalid_value", "/name"),
    ] {
        assert_eq!(
            app.post(KEYS, &body.to_string()).await.error(),
            (400, code, place),
            "{body}"
        );
    }
}

on_both_engines!(managed_key_takes_only_name_and_description);
async fn managed_key_takes_only_name_and_description(app: TestApp) {
    let profile = app.add_profile(r#"{"name": "P"}"#).await;
    let user = app.add_user("ada").await;
    let body = format!(r#"{{"access_profile_id": {profile}}}"#);
    let assigned = app
        .post(
            &format!("/api/governance/users/{user}/access-profiles"),
            &body,
        )
        .await
        .expect(201);
    let path = format!("{KEYS}/{}", assigned.text_at("/virtual_key/id"));
    app.put(
        &path,
        r#"{"name": "new", "description": "mine", "is_active": true}"#,
    )
    .await
    .expect(200);
    for body in [
        r#"{"is_active": false}"#,
        r#"{"budgets": [{"max_limit": 1, "reset_duration": "1d"}]}"#,
    ] {
        assert_eq!(app.put(&path, body).await.error(), (409, "managed_key", ""));
    }
}

on_both_engines!(rotation_honours_the_old_secret_for_the_grace_time);
async fn rotation_honours_the_old_secret_for_the_grace_time(app: TestApp) {
    let made = app.post(KEYS, r#"{"name": "x"}"#).await.expect(201);
    let first = made.text_at("/virtual_key/value");
    let path = format!("{KEYS}/{}/rotate", made.text_at("/virtual_key/id"));
    let rotated = app.post(&path, r#"{"grace": "15m"}"#).await.expect(200);
    let second = rotated.text_at("/virtual_key/value");
    assert_eq!(
        rotated.body["virtual_key"]["id"],
        made.body["virtual_key"]["id"]
    );
    assert_eq!(
        rotated.body["virtual_key"]["previous_value_until"],
        "2026-11-11T12:45:00Z"
    );
    assert!(opens(&app, &first).await && opens(&app, &second).await);
    app.clock.advance(std::time::Duration::from_mins(15));
    assert!(!opens(&app, &first).await && opens(&app, &second).await);
    let admin = crate::test_app::ADMIN;
    app.call_as(admin, http::Method::POST, &path, None)
        .await
        .expect(200);
    assert!(!opens(&app, &second).await);
    for grace in ["31d", "1", "x", "-1d"] {
        let body = format!(r#"{{"grace": "{grace}"}}"#);
        assert_eq!(
            app.post(&path, &body).await.error(),
            (400, "invalid_value", "/grace")
        );
    }
}

/// A user whose managed key was rotated by schedule: key id, old secret, new secret.
async fn rotated_by_schedule(app: &TestApp) -> (String, String, String) {
    let profile = app.add_profile(r#"{"name": "P"}"#).await;
    let user = app.add_user("ada").await;
    let assigned = app
        .post(
            &format!("/api/governance/users/{user}/access-profiles"),
            &format!(r#"{{"access_profile_id": {profile}}}"#),
        )
        .await
        .expect(201);
    let id = assigned.text_at("/virtual_key/id");
    let old = assigned.text_at("/virtual_key/value");
    let new = NewSecret::generate(VIRTUAL_KEY_PREFIX, &SystemSecrets::new()).unwrap();
    let now = app.clock.now();
    let until = now.saturating_add_micros(3_600_000_000);
    let mut tx = app.store.begin().await.unwrap();
    let rotation = Rotation {
        secret_hash: &new.hash,
        masked_value: &new.masked,
        honour_old_until: Some(until),
        at: now,
    };
    let key = id.parse().unwrap();
    virtual_keys::rotate(&mut tx, key, rotation).await.unwrap();
    waiting::put(&mut tx, key, &new.value, until, now)
        .await
        .unwrap();
    let changes = tx.commit().await.unwrap().into_vec();
    app.policy.publish(changes).await.unwrap();
    (id, old, new.reveal())
}

async fn collect(app: &TestApp, secret: &str) -> TestAnswer {
    let request = Request::post(format!("{KEYS}/collect")).header("x-api-key", secret);
    app.send(request.body("".into()).unwrap()).await
}

on_both_engines!(quota_says_when_the_holder_is_inactive);
async fn quota_says_when_the_holder_is_inactive(app: TestApp) {
    let user = app.add_user("ada").await;
    let key = json!({"name": "Laptop", "user_id": user}).to_string();
    let secret = app.post(KEYS, &key).await.expect(201);
    let secret = secret.text_at("/virtual_key/value");
    for is_active in [false, true] {
        let body = json!({"is_active": is_active}).to_string();
        app.put(&format!("/api/governance/users/{user}"), &body)
            .await
            .expect(200);
        let quota = Request::get(QUOTA).header("x-api-key", &secret);
        let quota = app.send(quota.body("".into()).unwrap()).await.expect(200);
        assert_eq!(quota.body["virtual_key"]["is_active"], is_active);
    }
}

on_both_engines!(the_holder_collects_the_new_secret_once_with_the_old_one);
async fn the_holder_collects_the_new_secret_once_with_the_old_one(app: TestApp) {
    let (id, old, new) = rotated_by_schedule(&app).await;
    let quota = Request::get(QUOTA).header("x-api-key", &old);
    let quota = app.send(quota.body("".into()).unwrap()).await.expect(200);
    assert_eq!(
        quota.body["virtual_key"]["secret_honoured_until"],
        "2026-11-11T13:30:00Z"
    );
    let collected = collect(&app, &old).await.expect(200);
    assert_eq!(collected.text_at("/virtual_key/id"), id);
    assert_eq!(collected.text_at("/virtual_key/value"), new);
    assert!(opens(&app, &new).await && opens(&app, &old).await);
    for secret in [&old, &new] {
        assert_eq!(collect(&app, secret).await.error().0, 404);
    }
    let trail = app
        .get("/api/governance/audit-logs?action=collect_secret")
        .await
        .expect(200);
    assert_eq!(trail.body["audit_logs"][0]["actor"], id.as_str());
    assert!(!trail.text.contains(&new));
}

on_both_engines!(nothing_is_collected_by_others_or_too_late);
async fn nothing_is_collected_by_others_or_too_late(app: TestApp) {
    let (id, old, _) = rotated_by_schedule(&app).await;
    for (secret, status) in [("sk-tg-unknown", 401), (crate::test_app::ADMIN, 401)] {
        assert_eq!(collect(&app, secret).await.error().0, status);
    }
    let user = app.get(&format!("{KEYS}/{id}")).await.expect(200);
    let user = format!(
        "/api/governance/users/{}",
        user.text_at("/virtual_key/user_id")
    );
    app.put(&user, r#"{"is_active": false}"#).await.expect(200);
    assert_eq!(
        collect(&app, &old).await.error(),
        (403, "access_blocked", "")
    );
    app.put(&user, r#"{"is_active": true}"#).await.expect(200);
    app.clock.advance(std::time::Duration::from_hours(1));
    assert_eq!(collect(&app, &old).await.error().0, 401);
}

on_both_engines!(a_rotation_by_hand_makes_the_secret_that_waits_void);
async fn a_rotation_by_hand_makes_the_secret_that_waits_void(app: TestApp) {
    let (id, old, new) = rotated_by_schedule(&app).await;
    app.post(&format!("{KEYS}/{id}/rotate"), r#"{"grace": "1h"}"#)
        .await
        .expect(200);
    assert!(opens(&app, &new).await && !opens(&app, &old).await);
    assert_eq!(collect(&app, &new).await.error().0, 404);
}

on_both_engines!(a_key_that_a_holder_makes_is_placed_under_a_profile_that_governs);
async fn a_key_that_a_holder_makes_is_placed_under_a_profile_that_governs(app: TestApp) {
    let user = app.add_user("ada").await;
    let copies = format!("/api/governance/users/{user}/access-profiles");
    let assign = async |body: &str, expires_at: Option<&str>| {
        let profile = app.add_profile(body).await;
        let body = json!({"access_profile_id": profile, "expires_at": expires_at});
        app.post(&copies, &body.to_string()).await.expect(201);
        profile
    };
    let make = async |name: &str| {
        let body = json!({"name": name, "user_id": user,
            "provider_configs": [{"provider": "openai", "allowed_models": ["gpt-5"]}]});
        app.post(KEYS, &body.to_string()).await.expect(201)
    };
    let governs = r#"{"name": "governs", "govern_created_keys": true}"#;
    let free = make("before any profile").await;
    assert_eq!(free.body["virtual_key"]["user_id"], user.as_str());
    assert_eq!(free.body["virtual_key"]["is_access_profile_managed"], false);
    let plain = assign(r#"{"name": "plain"}"#, None).await;
    assert_eq!(
        make("plain").await.body["virtual_key"]["is_access_profile_managed"],
        false
    );
    let governing = assign(governs, Some("2026-11-11T13:00:00Z")).await;
    let made = make("governed").await;
    assert_eq!(made.body["virtual_key"]["is_access_profile_managed"], true);
    assert_eq!(
        made.body["virtual_key"]["provider_configs"][0]["provider"],
        "openai"
    );
    let path = format!("{KEYS}/{}", made.text_at("/virtual_key/id"));
    assert_eq!(
        app.put(&path, r#"{"provider_configs": []}"#).await.error(),
        (409, "managed_key", "")
    );
    app.clock.advance(std::time::Duration::from_mins(30));
    let late = make("after the profile expired").await;
    assert_eq!(late.body["virtual_key"]["is_access_profile_managed"], false);
    app.delete(&format!("{copies}/{governing}"))
        .await
        .expect(200);
    let last = app.delete(&format!("{copies}/{plain}")).await.expect(200);
    let deleted = last.body["deleted_vk_names"].as_array().unwrap();
    assert!(deleted.contains(&json!("governed")), "{}", last.text);
    assert_eq!(app.get(&path).await.error().0, 404);
    let team = app
        .post("/api/governance/teams", r#"{"name": "T"}"#)
        .await
        .expect(201)
        .text_at("/team/id");
    for (body, code) in [
        (
            json!({"name": "x", "user_id": user, "team_id": team}),
            "inconsistent",
        ),
        (
            json!({"name": "x", "user_id": "user_00000000000000000000000000000fff"}),
            "unknown_reference",
        ),
    ] {
        assert_eq!(
            app.post(KEYS, &body.to_string()).await.error(),
            (400, code, "/user_id"),
            "{body}"
        );
    }
}
