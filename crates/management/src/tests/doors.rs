//! Who gets in, and how what does not fit is answered.

use axum::body::Body;
use http::{Method, Request, header};
use tollgate_domain::permission::{Action, Permission, Resource};

use crate::test_app::{ADMIN, TestAnswer, TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";

async fn with_header(app: &TestApp, path: &str, header: &str, value: &str) -> TestAnswer {
    let request = Request::builder().uri(path).header(header, value);
    app.send(request.body(Body::empty()).unwrap()).await
}

on_both_engines!(only_a_management_key_as_bearer_opens_the_api);
async fn only_a_management_key_as_bearer_opens_the_api(app: TestApp) {
    let basic = format!("Basic {ADMIN}");
    let virtual_key = "Bearer sk-tg-0000000000000000000000000000000000000000000";
    for (name, value) in [
        ("authorization", basic.as_str()),
        ("authorization", virtual_key),
        ("authorization", "Bearer tgm-unknown"),
        ("authorization", ADMIN),
        ("authorization", "Bearer"),
        ("x-api-key", ADMIN),
        ("cookie", "__Host-session=tgm-x"),
        ("x-nothing", "x"),
    ] {
        let answer = with_header(&app, PROFILES, name, value).await;
        assert_eq!(
            answer.error(),
            (401, "authentication_required", ""),
            "{name}: {value}"
        );
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(answer.body["is_bifrost_error"], true);
    }
    let path = format!("{PROFILES}?key={ADMIN}");
    let answer = with_header(&app, &path, "x-nothing", "x").await;
    assert!(
        answer
            .text_at("/error/message")
            .starts_with("keys in the query"),
        "{}",
        answer.text
    );
    app.get(PROFILES).await.expect(200);
}

on_both_engines!(expired_key_is_refused);
async fn expired_key_is_refused(app: TestApp) {
    let body = r#"{"name": "short", "expires_at": "2026-11-11T13:00:00Z"}"#;
    let key = app
        .post("/api/api-keys", body)
        .await
        .expect(201)
        .text_at("/key");
    app.call_as(&key, Method::GET, PROFILES, None)
        .await
        .expect(200);
    app.clock.advance(std::time::Duration::from_mins(30));
    app.call_as(&key, Method::GET, PROFILES, None)
        .await
        .expect(401);
}

on_both_engines!(missing_permission_is_named);
async fn missing_permission_is_named(app: TestApp) {
    let view = Permission::new(Resource::AccessProfiles, Action::View);
    app.add_management_key("tgm-viewer", Some(vec![view.id()]))
        .await;
    app.call_as("tgm-viewer", Method::GET, PROFILES, None)
        .await
        .expect(200);
    let body = Some(r#"{"name": "x"}"#);
    let answer = app
        .call_as("tgm-viewer", Method::POST, PROFILES, body)
        .await;
    assert_eq!(answer.error(), (403, "permission_denied", ""));
    assert!(
        answer.text.contains("`AccessProfiles:Create`"),
        "{}",
        answer.text
    );
    // The permission is asked before the body is looked at.
    app.call_as("tgm-viewer", Method::POST, PROFILES, Some("{"))
        .await
        .expect(403);
}

on_both_engines!(paths_are_matched_exactly);
async fn paths_are_matched_exactly(app: TestApp) {
    for path in [
        "/API/governance/access-profiles",
        "/api/governance/access-profiles/",
        "/api//governance/access-profiles",
        "//api/governance/access-profiles",
        "/api/governance/./access-profiles",
        "/api/governance/x/../access-profiles",
        "/api/governance%2Faccess-profiles",
        "/api/governance/access-profiles%2F1",
        "/api/governance/access-profiles/1%2Factivate",
        "/api/governance/access-profiles/+1",
        "/api/governance/access-profiles/01x",
        "/api/nothing",
        "/nothing",
    ] {
        assert_eq!(app.get(path).await.error().0, 404, "{path}");
    }
}

on_both_engines!(wrong_method_names_the_right_ones);
async fn wrong_method_names_the_right_ones(app: TestApp) {
    let answer = app.put(PROFILES, "{}").await;
    assert_eq!(answer.error(), (405, "method_not_allowed", ""));
    let allow = answer.headers[header::ALLOW].to_str().unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let unknown = Method::from_bytes(b"BREW").unwrap();
    app.call_as(ADMIN, unknown, PROFILES, None)
        .await
        .expect(405);
}

on_both_engines!(bodies_that_are_no_json_are_refused);
async fn bodies_that_are_no_json_are_refused(app: TestApp) {
    let post = |content_type: &'static str, body: Vec<u8>| {
        let request = Request::builder()
            .method(Method::POST)
            .uri(PROFILES)
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(header::CONTENT_TYPE, content_type);
        app.send(request.body(Body::from(body)).unwrap())
    };
    let good = br#"{"name": "x"}"#.to_vec();
    assert_eq!(post("text/plain", good.clone()).await.error().0, 415);
    for (encoding, status) in [("gzip", 415), ("identity", 201)] {
        let request = Request::post(PROFILES)
            .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_ENCODING, encoding);
        let body = Body::from(r#"{"name": "Encoded"}"#);
        let answer = app.send(request.body(body).unwrap()).await;
        assert_eq!(answer.status, status, "{encoding}");
    }
    assert_eq!(
        post("application/x-www-form-urlencoded", good.clone())
            .await
            .error()
            .0,
        415
    );
    assert_eq!(
        post("application/json", vec![b' '; 5 << 20])
            .await
            .error()
            .0,
        413
    );
    for broken in [
        &b""[..],
        b"{",
        b"\xff",
        b"[]",
        b"null",
        b"{\"name\": \"x\"} {}",
    ] {
        assert_eq!(
            post("application/json", broken.to_vec()).await.error().0,
            400
        );
    }
    let deep = format!("{{\"tags\": {}", "[".repeat(1 << 20));
    assert_eq!(
        post("application/json", deep.into_bytes()).await.error().0,
        400
    );
    post("application/json; charset=utf-8", good)
        .await
        .expect(201);
}

on_both_engines!(every_answer_carries_its_request_id);
async fn every_answer_carries_its_request_id(app: TestApp) {
    let refused = app.get("/api/nothing").await;
    let id = refused.headers["x-request-id"].to_str().unwrap();
    assert_eq!(refused.body["event_id"], id);
    assert_eq!(refused.body["error"]["event_id"], id);
    let good = app.get(PROFILES).await;
    assert_ne!(good.headers["x-request-id"], id);
}

on_both_engines!(short_paths_do_the_same_and_say_that_they_are_old);
async fn short_paths_do_the_same_and_say_that_they_are_old(app: TestApp) {
    let id = app.add_profile(r#"{"name": "x"}"#).await;
    let short = app
        .get(&format!("/api/access-profiles/{id}"))
        .await
        .expect(200);
    let full = app.get(&format!("{PROFILES}/{id}")).await.expect(200);
    assert_eq!(short.body, full.body);
    assert_eq!(
        short.headers["link"],
        format!("<{PROFILES}/{id}>; rel=\"successor-version\"").as_str()
    );
    assert!(short.headers.contains_key("deprecation"));
    assert!(!full.headers.contains_key("deprecation"));
    let user = app.add_user("ada").await;
    app.get(&format!("/api/users/{user}/access-profiles"))
        .await
        .expect(200);
}

on_both_engines!(path_of_one_profiles_keys_says_that_it_is_old);
async fn path_of_one_profiles_keys_says_that_it_is_old(app: TestApp) {
    let profile = app.add_profile(r#"{"name": "x"}"#).await;
    let user = app.add_user("ada").await;
    let copies = format!("/api/governance/users/{user}/access-profiles");
    let body = format!(r#"{{"access_profile_id": {profile}}}"#);
    app.post(&copies, &body).await.expect(201);
    let keys = format!("/api/governance/users/{user}/virtual-keys");
    let link = format!("<{keys}>; rel=\"successor-version\"");
    for (root, name, status) in [
        ("/api/governance", "a", 200),
        ("/api", "b", 200),
        ("/api", "a", 409),
    ] {
        let path = format!("{root}/users/{user}/access-profiles/{profile}/virtual-keys");
        let answer = app.post(&path, &format!(r#"{{"name": "{name}"}}"#)).await;
        let answer = answer.expect(status);
        assert!(answer.headers.contains_key("deprecation"), "{path}");
        assert_eq!(answer.headers["link"], link.as_str());
    }
    let answer = app.post(&keys, r#"{"name": "c"}"#).await.expect(200);
    assert!(!answer.headers.contains_key("deprecation"));
}

on_both_engines!(lists_are_paged);
async fn lists_are_paged(app: TestApp) {
    for name in ["a", "b", "c"] {
        app.add_profile(&format!(
            r#"{{"name": "{name}", "tags": ["{name}", "all"]}}"#
        ))
        .await;
    }
    let page = app
        .get(&format!("{PROFILES}?limit=2&offset=1"))
        .await
        .expect(200);
    assert_eq!(page.body["count"], 2);
    assert_eq!(page.body["total_count"], 3);
    assert_eq!(page.body["access_profiles"][0]["name"], "b");
    let tagged = app.get(&format!("{PROFILES}?tags=a,c")).await.expect(200);
    assert_eq!(tagged.body["total_count"], 2);
    for query in ["limit=0", "limit=101", "limit=x", "offset=-1", "colour=red"] {
        assert_eq!(
            app.get(&format!("{PROFILES}?{query}")).await.error().0,
            400,
            "{query}"
        );
    }
}
