//! Users, roles and management keys.

use http::Method;
use serde_json::json;
use tollgate_domain::permission::{Action, Permission, Resource};

use super::propagation::BASE;
use crate::test_app::{TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
const USERS: &str = "/api/governance/users";
const ROLES: &str = "/api/governance/rbac/roles";

on_both_engines!(users_come_change_and_go);
async fn users_come_change_and_go(app: TestApp) {
    let id = app.add_user("ada").await;
    let taken = app
        .post(USERS, r#"{"name": "b", "email": "ADA@example.com"}"#)
        .await;
    assert_eq!(taken.error(), (409, "email_taken", "/email"));
    let bad = app
        .post(USERS, r#"{"name": " ", "email": "x", "role_id": -1}"#)
        .await;
    assert_eq!(bad.error().0, 400);
    let unknown_role = app
        .post(
            USERS,
            r#"{"name": "b", "email": "b@example.com", "role_id": 999}"#,
        )
        .await;
    assert_eq!(unknown_role.error(), (400, "unknown_reference", "/role_id"));
    let path = format!("{USERS}/{id}");
    let changed = app
        .put(&path, r#"{"name": "Ada L.", "is_active": false}"#)
        .await
        .expect(200);
    assert_eq!(changed.body["user"]["email"], "ada@example.com");
    assert_eq!(changed.body["user"]["is_active"], false);
    let read = app.get(&path).await.expect(200);
    assert_eq!(read.body, changed.body);
    let sent_back = read.body["user"].to_string();
    assert_eq!(
        app.put(&path, &sent_back).await.expect(200).body["user"]["name"],
        "Ada L."
    );
    let found = app.get(&format!("{USERS}?search=ada")).await.expect(200);
    assert_eq!(found.body["total_count"], 1);
    app.delete(&path).await.expect(200);
    assert_eq!(app.get(&path).await.error().0, 404);
    assert_eq!(app.delete(&path).await.error().0, 404);
    assert_eq!(app.get(&format!("{USERS}/nobody")).await.error().0, 404);
}

on_both_engines!(system_roles_can_be_edited_and_not_deleted);
async fn system_roles_can_be_edited_and_not_deleted(app: TestApp) {
    let roles = app.get(ROLES).await.expect(200);
    let admin = roles.body["roles"][0]["id"].as_i64().unwrap();
    assert_eq!(roles.body["roles"][0]["name"], "Admin");
    let refused = app.delete(&format!("{ROLES}/{admin}")).await;
    assert_eq!(refused.error(), (403, "system_role", ""));
    app.put(
        &format!("{ROLES}/{admin}"),
        r#"{"description": "all of it"}"#,
    )
    .await
    .expect(200);
    let path = format!("{ROLES}/{admin}/permissions");
    let set = app
        .put(&path, r#"{"permission_ids": [11]}"#)
        .await
        .expect(200);
    assert_eq!(set.body["permissions"][0]["name"], "AccessProfiles:View");
    let bad = app.put(&path, r#"{"permission_ids": [11, 999]}"#).await;
    assert_eq!(bad.error(), (400, "invalid_value", "/permission_ids/1"));
    let read = app.get(&path).await.expect(200).body;
    assert_eq!(read["permissions"], set.body["permissions"]);
}

on_both_engines!(role_in_use_stays);
async fn role_in_use_stays(app: TestApp) {
    let role = app.post(ROLES, r#"{"name": "Auditor"}"#).await.expect(201);
    let id = role.body["role"]["id"].as_i64().unwrap();
    assert_eq!(
        app.post(ROLES, r#"{"name": "auditor"}"#).await.error(),
        (409, "name_taken", "/name")
    );
    let user = app.add_user("ada").await;
    let body = format!(r#"{{"role_id": {id}}}"#);
    app.put(&format!("{USERS}/{user}/role"), &body)
        .await
        .expect(200);
    assert_eq!(
        app.delete(&format!("{ROLES}/{id}")).await.error(),
        (409, "role_in_use", "")
    );
    app.delete(&format!("{USERS}/{user}")).await.expect(200);
    app.delete(&format!("{ROLES}/{id}")).await.expect(200);
    assert_eq!(app.get(&format!("{ROLES}/{id}")).await.error().0, 404);
}

on_both_engines!(nobody_hands_on_what_they_do_not_have);
async fn nobody_hands_on_what_they_do_not_have(app: TestApp) {
    let own = [
        Permission::new(Resource::APIKeys, Action::Update).id(),
        Permission::new(Resource::Roles, Action::Update).id(),
    ];
    app.add_management_key("tgm-lesser", Some(own.to_vec()))
        .await;
    let put = async |path: &str, body: serde_json::Value| {
        let body = body.to_string();
        app.call_as("tgm-lesser", Method::PUT, path, Some(&body))
            .await
    };
    // The secret of a key that has ended may be in wrong hands.
    for scopes in [serde_json::Value::Null, serde_json::json!([11])] {
        let body = serde_json::json!({
            "name": "ended", "scopes": scopes, "expires_at": "2026-11-11T12:30:00Z",
        });
        let ended = app.post("/api/api-keys", &body.to_string()).await;
        let ended = format!("/api/api-keys/{}", ended.expect(201).text_at("/api_key/id"));
        for until in [
            serde_json::Value::Null,
            serde_json::json!("2099-01-01T00:00:00Z"),
        ] {
            let revived = put(&ended, serde_json::json!({"expires_at": until})).await;
            assert_eq!(revived.error(), (403, "scope_exceeded", "/expires_at"));
        }
        let sooner = serde_json::json!({"name": "over", "expires_at": "2026-11-11T12:10:00Z"});
        put(&ended, sooner).await.expect(200);
        let taken = serde_json::json!({"scopes": own.map(|id| id.0), "expires_at": null});
        put(&ended, taken).await.expect(200);
    }
    let role = app.post(ROLES, r#"{"name": "Auditor"}"#).await.expect(201);
    let role = format!("{ROLES}/{}/permissions", role.body["role"]["id"]);
    let stronger = put(&role, serde_json::json!({"permission_ids": [11]})).await;
    assert_eq!(stronger.error(), (403, "scope_exceeded", "/permission_ids"));
    app.put(&role, r#"{"permission_ids": [11, 12]}"#)
        .await
        .expect(200);
    let kept = serde_json::json!({"permission_ids": [12, own[1].0]});
    put(&role, kept).await.expect(200);
}

on_both_engines!(nobody_makes_a_user_stronger_than_they_are);
async fn nobody_makes_a_user_stronger_than_they_are(app: TestApp) {
    let of = |action| Permission::new(Resource::Users, action).id();
    let own = vec![of(Action::View), of(Action::Create), of(Action::Update)];
    app.add_management_key("tgm-lesser", Some(own.clone()))
        .await;
    let call = async |method: Method, path: &str, body: serde_json::Value| {
        let body = body.to_string();
        app.call_as("tgm-lesser", method, path, Some(&body)).await
    };
    let role = async |name: &str, permissions: Vec<i64>| {
        let body = serde_json::json!({"name": name}).to_string();
        let made = app.post(ROLES, &body).await.expect(201);
        let id = made.body["role"]["id"].as_i64().unwrap();
        let body = serde_json::json!({"permission_ids": permissions}).to_string();
        app.put(&format!("{ROLES}/{id}/permissions"), &body)
            .await
            .expect(200);
        id
    };
    let equal = role("Equal", own.iter().map(|id| id.0).collect()).await;
    let stronger = role("Stronger", vec![own[0].0, 11]).await;
    let new = |role: i64| serde_json::json!({"name": "n", "email": format!("{role}@x.example"), "role_id": role});
    let refused = call(Method::POST, USERS, new(stronger)).await;
    assert_eq!(refused.error(), (403, "scope_exceeded", "/role_id"));
    assert!(
        refused.text.contains("`AccessProfiles:View`"),
        "{}",
        refused.text
    );
    let made = call(Method::POST, USERS, new(equal)).await.expect(201);
    let user = format!("{USERS}/{}", made.text_at("/user/id"));
    let set_role = format!("{user}/role");
    // The system's Admin has everything.
    for beyond in [stronger, 1] {
        let body = serde_json::json!({"role_id": beyond});
        let refused = call(Method::PUT, &set_role, body).await;
        assert_eq!(refused.error(), (403, "scope_exceeded", "/role_id"));
    }
    let read = app.get(&user).await.expect(200);
    assert_eq!(read.body["user"]["role_id"], equal, "nothing was changed");

    app.put(
        &set_role,
        &serde_json::json!({"role_id": stronger}).to_string(),
    )
    .await
    .expect(200);
    let taken_over = call(
        Method::PUT,
        &user,
        serde_json::json!({"email": "me@x.example"}),
    )
    .await;
    assert_eq!(taken_over.error(), (403, "scope_exceeded", "/email"));
    for harmless in [
        serde_json::json!({"role_id": stronger}),
        serde_json::json!({"role_id": equal}),
    ] {
        call(Method::PUT, &set_role, harmless).await.expect(200);
    }
    app.put(&set_role, &serde_json::json!({"role_id": 1}).to_string())
        .await
        .expect(200);
    let sleep = serde_json::json!({"name": "asleep", "is_active": false});
    call(Method::PUT, &user, sleep).await.expect(200);
    let revived = call(Method::PUT, &user, serde_json::json!({"is_active": true})).await;
    assert_eq!(revived.error(), (403, "scope_exceeded", "/is_active"));
    app.put(&user, r#"{"is_active": true, "email": "new@x.example"}"#)
        .await
        .expect(200);
}

on_both_engines!(key_never_has_more_than_its_creator);
async fn key_never_has_more_than_its_creator(app: TestApp) {
    let of = |resource, action| Permission::new(resource, action).id();
    let create = of(Resource::APIKeys, Action::Create);
    let update = of(Resource::APIKeys, Action::Update);
    app.add_management_key("tgm-lesser", Some(vec![create, update]))
        .await;
    let post =
        |body: &'static str| app.call_as("tgm-lesser", Method::POST, "/api/api-keys", Some(body));
    let beyond = post(r#"{"name": "more", "scopes": [52, 11]}"#).await;
    assert_eq!(beyond.error(), (403, "scope_exceeded", "/scopes"));
    let same = post(r#"{"name": "same"}"#).await.expect(201);
    assert_eq!(
        same.body["api_key"]["scopes"],
        serde_json::json!([create.0, update.0])
    );
    let path = format!("/api/api-keys/{}", same.text_at("/api_key/id"));
    let raise = app
        .call_as(
            "tgm-lesser",
            Method::PUT,
            &path,
            Some(r#"{"scopes": [11]}"#),
        )
        .await;
    assert_eq!(raise.error().0, 403);
    let secret = same.text_at("/key");
    assert!(secret.starts_with("tgm-"));
    let listed = app.get("/api/api-keys").await.expect(200);
    assert!(!listed.text.contains(&secret));
    app.delete(&path).await.expect(200);
    assert_eq!(
        app.call_as(&secret, Method::GET, "/api/api-keys", None)
            .await
            .error()
            .0,
        401
    );
}

on_both_engines!(audit_trail_tells_who_changed_what_without_secrets);
async fn audit_trail_tells_who_changed_what_without_secrets(app: TestApp) {
    let made = app
        .post("/api/api-keys", r#"{"name": "k"}"#)
        .await
        .expect(201);
    app.add_user("ada").await;
    let trail = app
        .get("/api/governance/audit-logs?target_kind=management_key")
        .await
        .expect(200);
    assert_eq!(trail.body["total_count"], 1);
    assert_eq!(trail.body["audit_logs"][0]["action"], "create");
    assert!(trail.text_at("/audit_logs/0/actor").starts_with("mk_"));
    assert!(!trail.text.contains(&made.text_at("/key")));
}

on_both_engines!(short_lists_are_answered_whole_unless_a_limit_is_given);
async fn short_lists_are_answered_whole_unless_a_limit_is_given(app: TestApp) {
    let path = "/api/governance/rbac/permissions";
    let whole = app.get(path).await.expect(200).body;
    let all = whole["permissions"].as_array().unwrap().len();
    assert!(all > 25, "more than a page of other lists");
    for name in ["count", "total_count", "limit"] {
        assert_eq!(whole[name], all, "{name}");
    }
    let second = format!("{path}?search=logs%3Aview&limit=1&offset=1");
    let found = app.get(&second).await.expect(200).body;
    assert_eq!(found["permissions"][0]["name"], "AuditLogs:View");
    for (name, value) in [
        ("count", 1),
        ("total_count", 2),
        ("limit", 1),
        ("offset", 1),
    ] {
        assert_eq!(found[name], value, "{name}");
    }
    for query in ["limit=0", "limit=101", "offset=-1", "colour=red"] {
        let refused = app.get(&format!("{path}?{query}")).await;
        assert_eq!(refused.error().0, 400, "{query}");
    }
    let role = format!("{ROLES}/1/permissions?search=nothing");
    assert_eq!(app.get(&role).await.expect(200).body["total_count"], 0);
}

on_both_engines!(management_keys_are_found_by_name_and_description);
async fn management_keys_are_found_by_name_and_description(app: TestApp) {
    let keys = "/api/api-keys";
    for body in [
        r#"{"name": "Über", "scopes": []}"#,
        r#"{"name": "CI", "description": "for the ÜBUNG", "scopes": []}"#,
    ] {
        app.post(keys, body).await.expect(201);
    }
    let found = app.get(&format!("{keys}?search=%C3%BCb")).await.expect(200);
    assert_eq!(found.body["total_count"], 2);
    let second = app
        .get(&format!("{keys}?search=%C3%BCb&limit=1&offset=1"))
        .await
        .expect(200);
    assert_eq!(second.text_at("/api_keys/0/name"), "CI");
}

on_both_engines!(roles_are_listed_by_pages_and_found_by_name);
async fn roles_are_listed_by_pages_and_found_by_name(app: TestApp) {
    let page = app.get(&format!("{ROLES}?limit=2&offset=1")).await;
    let page = page.expect(200).body;
    assert_eq!(page["roles"].as_array().unwrap().len(), 2);
    for (name, value) in [
        ("count", 2),
        ("total_count", 3),
        ("limit", 2),
        ("offset", 1),
    ] {
        assert_eq!(page[name], value, "{name}");
    }
    let found = app.get(&format!("{ROLES}?search=VIEW")).await.expect(200);
    assert_eq!(found.text_at("/roles/0/name"), "Viewer");
    assert_eq!(found.body["total_count"], 1);
    assert_eq!(app.get(&format!("{ROLES}?limit=0")).await.error().0, 400);
}

on_both_engines!(role_defaults_come_and_go_with_the_role);
async fn role_defaults_come_and_go_with_the_role(app: TestApp) {
    let profile = app.add_profile(BASE).await;
    let by_hand = app.add_profile(r#"{"name": "By hand"}"#).await;
    let role = app.post(ROLES, r#"{"name": "Lab"}"#).await.expect(201).body["role"]["id"].clone();
    let other = app
        .post(ROLES, r#"{"name": "Other"}"#)
        .await
        .expect(201)
        .body["role"]["id"]
        .clone();
    let user = app.add_user("ada").await;
    let set_role = |id: serde_json::Value| {
        let (path, body) = (
            format!("{USERS}/{user}/role"),
            format!(r#"{{"role_id": {id}}}"#),
        );
        let app = &app;
        async move { app.put(&path, &body).await.expect(200) }
    };
    set_role(role.clone()).await;
    let attach = format!("{PROFILES}/{profile}/roles");
    let body =
        format!(r#"{{"role_ids": [{role}], "is_default": true, "apply_to_existing": true}}"#);
    let attached = app.post(&attach, &body).await.expect(200);
    assert_eq!(attached.body["users_applied"], 1);
    assert!(
        attached
            .text_at("/virtual_keys/0/value")
            .starts_with("sk-tg-")
    );
    let details = app.get(&format!("{PROFILES}/{profile}")).await;
    assert_eq!(details.body["roles"][0]["role_name"], "Lab");
    assert_eq!(details.body["user_count"], 1);
    let copies = format!("{USERS}/{user}/access-profiles");
    // What usage hangs on: the copy, its line, and where the line's windows begin.
    let counted = async || {
        let held = app.get(&copies).await.expect(200).body["access_profiles"].clone();
        let is_of_role = |copy: &&serde_json::Value| copy["parent_profile_id"] == profile;
        let copy = held.as_array().unwrap().iter().find(is_of_role).unwrap();
        let line = &copy["budgets"][0];
        json!([
            copy["id"],
            line["id"],
            line["last_reset"],
            line["resets_at"]
        ])
    };
    let counted_before = counted().await;
    app.post(&copies, &format!(r#"{{"access_profile_id": {by_hand}}}"#))
        .await
        .expect(201);
    set_role(other).await;
    app.clock.advance(std::time::Duration::from_hours(1));
    let left = app.get(&copies).await.body["access_profiles"].clone();
    assert_eq!(
        (
            left.as_array().unwrap().len(),
            &left[0]["parent_profile_id"]
        ),
        (1, &json!(by_hand))
    );
    let back = set_role(role.clone()).await;
    assert!(
        back.body["virtual_key"].is_null(),
        "the key outlived the change"
    );
    assert_eq!(counted().await, counted_before, "leaving is no reset");
    assert_eq!(
        app.get(&copies).await.body["access_profiles"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let new = format!(r#"{{"name": "Eve", "email": "eve@example.com", "role_id": {role}}}"#);
    assert!(app.post(USERS, &new).await.expect(201).body["virtual_key"].is_object());
    assert_eq!(
        app.post(&attach, r#"{"role_ids": []}"#).await.error(),
        (400, "invalid_value", "/role_ids")
    );
    assert_eq!(
        app.post(&attach, r#"{"role_ids": [999]}"#).await.error(),
        (400, "unknown_reference", "/role_ids/0")
    );
    app.delete(&format!("{attach}/{role}")).await.expect(200);
    assert_eq!(app.delete(&format!("{attach}/{role}")).await.error().0, 404);
}
