//! Virtual keys.

use http::Request;
use serde_json::json;

use crate::test_app::{TestApp, on_both_engines};

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
