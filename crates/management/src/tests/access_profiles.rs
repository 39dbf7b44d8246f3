//! Profiles, copies and the keys that come with them.

use http::{Method, Request, header};
use serde_json::json;

use crate::test_app::{ADMIN, TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
const USERS: &str = "/api/governance/users";

const FULL: &str = r#"{
    "name": "Research", "tags": ["lab"],
    "provider_configs": [{"provider_name": "openai", "allowed_models": ["*"],
        "budgets": [{"max_limit": 2.5, "reset_duration": "1d"}]}],
    "budgets": [{"max_limit": 0.000000001, "reset_duration": "1M"}],
    "rate_limit": {"request_max_limit": 5, "request_reset_duration": "1m"},
    "auto_rotation_interval": "30d"
}"#;

on_both_engines!(created_profile_is_read_back);
async fn created_profile_is_read_back(app: TestApp) {
    let created = app.post(PROFILES, FULL).await.expect(201);
    assert!(
        created.text.contains(r#""max_limit":0.000000001,"#),
        "{}",
        created.text
    );
    insta::assert_json_snapshot!(created.body);
    let id = &created.body["access_profile"]["id"];
    let read = app.get(&format!("{PROFILES}/{id}")).await.expect(200);
    assert_eq!(read.headers[header::ETAG], "\"1\"");
    assert_eq!(read.body["access_profile"], created.body["access_profile"]);
    assert_eq!(read.body["user_count"], 0);
    assert_eq!(
        app.post(PROFILES, r#"{"name": " research "}"#)
            .await
            .error(),
        (409, "name_taken", "/name")
    );
    assert_eq!(
        app.post(PROFILES, "{}").await.error(),
        (400, "required", "/name")
    );
    assert_eq!(
        app.get(&format!("{PROFILES}/999")).await.error(),
        (404, "not_found", "")
    );
}

on_both_engines!(put_and_patch_update_the_same_on_both_paths);
async fn put_and_patch_update_the_same_on_both_paths(app: TestApp) {
    let id = app.add_profile(FULL).await;
    let mut version = 1;
    for base in [PROFILES, "/api/access-profiles"] {
        for method in [Method::PUT, Method::PATCH] {
            version += 1;
            let path = format!("{base}/{id}");
            let body = format!(r#"{{"description": "{version}"}}"#);
            let answer = app
                .call_as(ADMIN, method, &path, Some(&body))
                .await
                .expect(200);
            assert_eq!(answer.body["access_profile"]["version"], version);
            assert_eq!(
                answer.headers[header::ETAG],
                format!("\"{version}\"").as_str()
            );
            assert_eq!(answer.body["access_profile"]["tags"][0], "lab");
        }
    }
}

on_both_engines!(update_that_changes_nothing_keeps_the_version);
async fn update_that_changes_nothing_keeps_the_version(app: TestApp) {
    let path = format!("{PROFILES}/{}", app.add_profile(FULL).await);
    let before = app.get(&path).await.body["access_profile"].clone();
    app.clock.advance(std::time::Duration::from_mins(1));
    let after = app.put(&path, &before.to_string()).await.expect(200);
    assert_eq!(after.body["access_profile"], before);
}

on_both_engines!(stale_version_changes_nothing);
async fn stale_version_changes_nothing(app: TestApp) {
    let path = format!("{PROFILES}/{}", app.add_profile(FULL).await);
    let put = |if_match: &str, body: &'static str| {
        let request = Request::builder()
            .method(Method::PUT)
            .uri(&path)
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::IF_MATCH, if_match);
        app.send(request.body(body.into()).unwrap())
    };
    put("\"1\"", r#"{"description": "a"}"#).await.expect(200);
    assert_eq!(
        put("\"1\"", r#"{"description": "b"}"#).await.error(),
        (412, "stale_version", "")
    );
    for not_one_version in ["1", "W/\"2\"", "\"1\", \"2\"", "\"-2\"", "\"\""] {
        let refused = put(not_one_version, r#"{"description": "b"}"#).await;
        assert_eq!(refused.error().0, 400, "{not_one_version}");
    }
    put("\"2\"", r#"{"description": "c"}"#).await.expect(200);
    let read = app.get(&path).await;
    assert_eq!(read.body["access_profile"]["description"], "c");
    assert_eq!(read.body["access_profile"]["version"], 3);
}

on_both_engines!(whoever_names_a_version_acts_on_no_other);
async fn whoever_names_a_version_acts_on_no_other(app: TestApp) {
    let path = format!("{PROFILES}/{}", app.add_profile(FULL).await);
    app.put(&path, r#"{"description": "a"}"#).await.expect(200);
    let send = |method: Method, path: String, versions: &'static [&'static str]| {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(header::CONTENT_TYPE, "application/json");
        for version in versions {
            request = request.header(header::IF_MATCH, *version);
        }
        app.send(request.body("{}".into()).unwrap())
    };
    let operations = [
        (Method::PATCH, String::new()),
        (Method::PUT, "/activate".to_owned()),
        (Method::PUT, "/deactivate".to_owned()),
        (Method::POST, "/versions/1/restore".to_owned()),
        (Method::DELETE, String::new()),
    ];
    for (method, end) in &operations {
        let path = format!("{path}{end}");
        let stale = send(method.clone(), path.clone(), &["\"1\""]).await;
        assert_eq!(stale.error().1, "stale_version", "{method} {path}");
        let two = send(method.clone(), path.clone(), &["\"2\"", "\"1\""]).await;
        assert_eq!(two.error().0, 400, "{method} {path}");
    }
    assert_eq!(app.get(&path).await.body["access_profile"]["version"], 2);
    send(Method::DELETE, path, &["\"2\""]).await.expect(200);
}

on_both_engines!(refused_update_names_every_problem_and_changes_nothing);
async fn refused_update_names_every_problem_and_changes_nothing(app: TestApp) {
    let path = format!("{PROFILES}/{}", app.add_profile(FULL).await);
    let before = app.get(&path).await.body;
    let body =
        r#"{"name": "", "budget": [], "tags": null, "mcp_tool_groups": [{"tool_group_id": 9}]}"#;
    let refused = app.put(&path, body).await.expect(400);
    insta::assert_json_snapshot!(refused.body["extra_fields"]);
    assert_eq!(app.get(&path).await.body, before);
    app.add_profile(r#"{"name": "Other"}"#).await;
    assert_eq!(
        app.put(&path, r#"{"name": "OTHER"}"#).await.error(),
        (409, "name_taken", "/name")
    );
    assert_eq!(app.get(&path).await.body, before);
}

on_both_engines!(activation_is_idempotent);
async fn activation_is_idempotent(app: TestApp) {
    let path = format!("{PROFILES}/{}", app.add_profile(FULL).await);
    for (verb, active, version) in [
        ("activate", true, 1),
        ("deactivate", false, 2),
        ("deactivate", false, 2),
        ("activate", true, 3),
    ] {
        let answer = app
            .call_as(ADMIN, Method::PUT, &format!("{path}/{verb}"), None)
            .await
            .expect(200);
        assert_eq!(answer.body["access_profile"]["is_active"], active);
        assert_eq!(answer.body["access_profile"]["version"], version);
    }
}

on_both_engines!(clone_has_lines_of_its_own);
async fn clone_has_lines_of_its_own(app: TestApp) {
    let path = format!("{PROFILES}/{}", app.add_profile(FULL).await);
    let original = app.get(&path).await.body["access_profile"].clone();
    let clone = app
        .post(&format!("{path}/clone"), r#"{"name": "Copy"}"#)
        .await
        .expect(201);
    let clone = &clone.body["access_profile"];
    for pointer in [
        "/budgets/0/id",
        "/rate_limit/id",
        "/provider_configs/0/budgets/0/id",
        "/provider_configs/0/id",
        "/id",
    ] {
        assert_ne!(
            clone.pointer(pointer),
            original.pointer(pointer),
            "{pointer}"
        );
    }
    assert_eq!(clone["tags"], original["tags"]);
    assert_eq!(clone["version"], 1);
    assert_eq!(
        app.post(&format!("{path}/clone"), r#"{"name": "copy"}"#)
            .await
            .error()
            .0,
        409
    );
}

on_both_engines!(assigned_profile_comes_with_one_key);
async fn assigned_profile_comes_with_one_key(app: TestApp) {
    let profile = app.add_profile(FULL).await;
    let other = app.add_profile(r#"{"name": "Other"}"#).await;
    let user = app.add_user("ada").await;
    let path = format!("{USERS}/{user}/access-profiles");
    let body = format!(r#"{{"access_profile_id": {profile}}}"#);
    let assigned = app.post(&path, &body).await.expect(201);
    let secret = assigned.text_at("/virtual_key/value");
    assert!(secret.starts_with("sk-tg-") && secret.len() == 49);
    let copy = &assigned.body["access_profile"];
    assert_eq!(copy["parent_profile_id"], profile);
    assert_eq!(copy["budgets"][0]["resets_at"], "2026-12-11T12:30:00Z");
    assert_eq!(
        app.post(&path, &body).await.error(),
        (409, "already_assigned", "")
    );
    let second = app
        .post(
            &path,
            &format!(r#"{{"access_profile_id": {other}, "priority": -3}}"#),
        )
        .await
        .expect(201);
    assert!(second.body["virtual_key"].is_null());
    let held = app.get(&path).await.expect(200);
    assert_eq!(
        held.body["access_profiles"][0]["parent_profile_id"], other,
        "pays first"
    );
    assert!(!held.text.contains(&secret));
    let missing = app.post(&path, r#"{"access_profile_id": 999}"#).await;
    assert_eq!(missing.error(), (404, "not_found", "/access_profile_id"));
    app.delete(&format!("{PROFILES}/{profile}"))
        .await
        .expect(409);
}

on_both_engines!(expired_copy_comes_back_with_its_counters_on_new_terms);
async fn expired_copy_comes_back_with_its_counters_on_new_terms(app: TestApp) {
    let profile = app.add_profile(FULL).await;
    let user = app.add_user("ada").await;
    let path = format!("{USERS}/{user}/access-profiles");
    let give = async |terms: &str| {
        let body = format!(r#"{{"access_profile_id": {profile}{terms}}}"#);
        app.post(&path, &body).await
    };
    let first = give(r#", "expires_at": "2026-11-11T13:00:00Z", "priority": 4"#)
        .await
        .expect(201);
    app.clock
        .advance(std::time::Duration::from_secs(30 * 60 - 1));
    let held = give("").await;
    assert_eq!(held.error(), (409, "already_assigned", ""));
    let message = held.text_at("/error/message");
    assert!(message.contains("take it away first"), "{message}");
    app.clock.advance(std::time::Duration::from_secs(1));
    let again = give("").await.expect(201);
    for pointer in ["/access_profile/id", "/access_profile/budgets/0/id"] {
        assert_eq!(again.text_at(pointer), first.text_at(pointer), "{pointer}");
    }
    let copy = &again.body["access_profile"];
    assert_eq!(
        (&copy["expires_at"], &copy["priority"]),
        (&json!(null), &json!(4))
    );
    assert!(again.body["virtual_key"].is_null(), "the key is there");
    assert_eq!(give("").await.error().1, "already_assigned");
}

on_both_engines!(keys_go_with_the_last_copy_and_counters_stay);
async fn keys_go_with_the_last_copy_and_counters_stay(app: TestApp) {
    let first = app.add_profile(FULL).await;
    let second = app.add_profile(r#"{"name": "Other"}"#).await;
    let user = app.add_user("ada").await;
    let path = format!("{USERS}/{user}/access-profiles");
    let give = |profile: i64| format!(r#"{{"access_profile_id": {profile}}}"#);
    let assigned = app.post(&path, &give(first)).await.expect(201);
    app.post(&path, &give(second)).await.expect(201);
    let budget = assigned.text_at("/access_profile/budgets/0/id");
    let gone = app.delete(&format!("{path}/{first}")).await.expect(200);
    assert_eq!(gone.body["deleted_vk_count"], 0);
    let gone = app.delete(&format!("{path}/{second}")).await.expect(200);
    assert_eq!(gone.body["deleted_vk_count"], 1);
    assert_eq!(app.delete(&format!("{path}/{second}")).await.error().0, 404);
    app.clock.advance(std::time::Duration::from_hours(1));
    let back = app.post(&path, &give(first)).await.expect(201);
    assert_eq!(back.text_at("/access_profile/budgets/0/id"), budget);
    assert_eq!(
        back.body["access_profile"]["budgets"][0]["last_reset"],
        "2026-11-11T12:30:00Z"
    );
    assert!(back.body["virtual_key"].is_object());
}

on_both_engines!(user_gets_more_keys_only_with_a_profile);
async fn user_gets_more_keys_only_with_a_profile(app: TestApp) {
    let user = app.add_user("ada").await;
    let keys = format!("{USERS}/{user}/virtual-keys");
    assert_eq!(
        app.post(&keys, r#"{"name": "laptop"}"#).await.error().0,
        404
    );
    let profile = app.add_profile(FULL).await;
    let body = format!(r#"{{"access_profile_id": {profile}}}"#);
    app.post(&format!("{USERS}/{user}/access-profiles"), &body)
        .await
        .expect(201);
    let made = app.post(&keys, r#"{"name": "laptop"}"#).await.expect(200);
    assert_eq!(
        app.post(&keys, r#"{"name": "Laptop"}"#).await.error(),
        (409, "name_taken", "/name")
    );
    let old_path = format!("{USERS}/{user}/access-profiles/{profile}/virtual-keys");
    app.post(&old_path, r#"{"name": "phone"}"#)
        .await
        .expect(200);
    let listed = app.get(&keys).await.expect(200);
    assert_eq!(listed.body["count"], 3);
    assert_eq!(
        listed.body["virtual_keys"][1]["is_access_profile_managed"],
        true
    );
    assert!(!listed.text.contains(&made.text_at("/virtual_key/value")));
    let id = made.text_at("/virtual_key/id");
    let path = format!("{USERS}/{user}/access-profiles/virtual-keys/{id}");
    app.delete(&path).await.expect(200);
    assert_eq!(app.delete(&path).await.error().0, 404);
}

on_both_engines!(key_shows_its_own_quota_and_a_management_key_does_not);
async fn key_shows_its_own_quota_and_a_management_key_does_not(app: TestApp) {
    let user = app.add_user("ada").await;
    let profile = app.add_profile(FULL).await;
    let body = format!(r#"{{"access_profile_id": {profile}}}"#);
    let assigned = app
        .post(&format!("{USERS}/{user}/access-profiles"), &body)
        .await
        .expect(201);
    let secret = assigned.text_at("/virtual_key/value");
    app.live.count.lock().used = 1;
    let path = "/api/governance/virtual-keys/quota";
    for name in ["x-api-key", "x-tollgate-key", "api-key"] {
        let request = Request::builder().uri(path).header(name, &secret);
        let quota = app.send(request.body("".into()).unwrap()).await.expect(200);
        assert_eq!(quota.body["limits"].as_array().unwrap().len(), 3);
        assert!(
            quota.text.contains(r#""used":0.000000001"#),
            "{}",
            quota.text
        );
    }
    assert_eq!(app.get(path).await.error().0, 401);
    let id = assigned.text_at("/virtual_key/id");
    app.delete(&format!("{USERS}/{user}/access-profiles/virtual-keys/{id}"))
        .await
        .expect(200);
    let request = Request::builder().uri(path).header("x-api-key", &secret);
    assert_eq!(
        app.send(request.body("".into()).unwrap()).await.error().0,
        401
    );
}

on_both_engines!(a_rate_limit_shows_what_runs_and_when_its_windows_end);
async fn a_rate_limit_shows_what_runs_and_when_its_windows_end(app: TestApp) {
    let limit = json!({"token_max_limit": 9, "token_reset_duration": "1d", "request_max_limit": 9,
        "request_reset_duration": "1h", "max_parallel_requests": 4});
    let body = json!({"name": "K", "rate_limit": limit}).to_string();
    let keys = "/api/governance/virtual-keys";
    let made = app.post(keys, &body).await.expect(201);
    app.live.count.lock().reserved = 2;
    let path = format!("{keys}/{}", made.text_at("/virtual_key/id"));
    let shown = app.get(&path).await.expect(200).body["virtual_key"]["rate_limit"].clone();
    assert_eq!(shown["current_parallel_requests"], 2);
    for name in ["token_resets_at", "request_resets_at"] {
        assert!(shown[name].is_string(), "{name}: {shown}");
    }
    let sent_back = json!({"rate_limit": shown}).to_string();
    app.put(&path, &sent_back).await.expect(200);
}

on_both_engines!(rotation_is_scheduled_when_its_interval_is_set_and_by_nothing_else);
async fn rotation_is_scheduled_when_its_interval_is_set_and_by_nothing_else(app: TestApp) {
    let id = app
        .add_profile(r#"{"name": "x", "auto_rotation_interval": "12h"}"#)
        .await;
    let path = format!("{PROFILES}/{id}");
    let next = async || {
        let read = app.get(&path).await.expect(200);
        let listed = app.get(PROFILES).await.expect(200);
        let next = read.body["access_profile"]["next_rotation_at"].clone();
        assert_eq!(listed.body["access_profiles"][0]["next_rotation_at"], next);
        assert!(read.body["access_profile"]["last_rotation_at"].is_null());
        next
    };
    assert_eq!(next().await, "2026-11-12T00:30:00Z");
    app.clock.advance(std::time::Duration::from_hours(1));
    let again = r#"{"description": "other", "auto_rotation_interval": 43200000000000}"#;
    app.put(&path, again).await.expect(200);
    assert_eq!(next().await, "2026-11-12T00:30:00Z");
    let clone = app
        .post(&format!("{path}/clone"), r#"{"name": "y"}"#)
        .await
        .expect(201);
    assert_eq!(
        clone.body["access_profile"]["next_rotation_at"],
        "2026-11-12T01:30:00Z"
    );
    app.delete(&format!(
        "{PROFILES}/{}",
        clone.body["access_profile"]["id"]
    ))
    .await
    .expect(200);
    app.put(&path, r#"{"auto_rotation_interval": "1d"}"#)
        .await
        .expect(200);
    assert_eq!(next().await, "2026-11-12T13:30:00Z");
    let off = app
        .put(&path, r#"{"auto_rotation_interval": 0}"#)
        .await
        .expect(200);
    assert!(!off.text.contains("next_rotation_at") && !off.text.contains("last_rotation_at"));
    app.post(&format!("{path}/versions/1/restore"), "")
        .await
        .expect(200);
    assert_eq!(next().await, "2026-11-12T01:30:00Z");
}
