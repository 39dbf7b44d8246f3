//! Paths as an attacker writes them. What is not exactly a route is nothing, and what is one asks for its permission.

use std::fmt::Write as _;

use axum::body::Body;
use http::uri::Uri;
use http::{Method, Request, StatusCode, header};

use super::permissions::{filled, operations};
use crate::test_app::{ADMIN, TestAnswer, TestApp, on_both_engines};

const NOTHING: &str = "tgm-may-do-nothing-at-all-0123456789";

/// Other ways to write a path, most of which some server or proxy takes for the same.
fn disguises(path: &str) -> Vec<String> {
    let (first, rest) = path[1..].split_once('/').unwrap();
    let last = path.rfind('/').unwrap();
    let (parent, name) = path.split_at(last);
    let name = &name[1..];
    let mut encoded = String::new();
    for byte in name.bytes() {
        write!(encoded, "%{byte:02x}").unwrap();
    }
    vec![
        format!("{path}/"),
        format!("{path}//"),
        format!("{path}/."),
        format!("{path}/.."),
        format!("{path}/../{name}"),
        format!("{path};"),
        format!("{path};x=1"),
        format!("{path}/..;/{name}"),
        format!("{path}%00"),
        format!("{path}%00.json"),
        format!("{path}%20"),
        format!("{path}%0d%0ax-tollgate: 1"),
        format!("{path}%2f"),
        format!("{path}%2f.."),
        format!("{path}.json"),
        format!("{path}?"),
        format!("{path}?key={ADMIN}"),
        format!("{path}?_method=GET"),
        format!("{parent}//{name}"),
        format!("{parent}/./{name}"),
        format!("{parent}/%2e/{name}"),
        format!("{parent}/x/../{name}"),
        format!("{parent}/x/%2e%2e/{name}"),
        format!("{parent}/x/%2e%2e%2f{name}"),
        format!("{parent}/..;/{name}"),
        format!("{parent}%2f{name}"),
        format!("{parent}%5c{name}"),
        format!("{parent}/{encoded}"),
        format!("{parent}/{}", name.to_uppercase()),
        format!("/{}/{rest}", first.to_uppercase()),
        format!("/%61pi/{rest}"),
        format!("//{first}/{rest}"),
        format!("/./{first}/{rest}"),
        format!("/x/../{first}/{rest}"),
        format!("/openapi.json/../{first}/{rest}"),
        format!("/openapi.json/..;/{first}/{rest}"),
        format!("/docs/..%2f{first}/{rest}"),
        format!("/{first}/governance/virtual-keys/quota/../../..{path}"),
        format!("/{first}/governance/virtual-keys/quota%2f..%2f..%2f{rest}"),
        format!("http://tollgate.example{path}"),
        format!("http://user:password@tollgate.example{path}"),
        format!("https://tollgate.example//{first}/{rest}"),
    ]
}

async fn send(app: &TestApp, method: &Method, uri: &Uri, key: Option<&str>) -> TestAnswer {
    let mut request = Request::builder()
        .method(method)
        .uri(uri.clone())
        .header(header::CONTENT_TYPE, "application/json");
    // What other servers take for the path that is meant.
    for name in ["x-original-url", "x-rewrite-url", "x-forwarded-prefix"] {
        request = request.header(name, "/openapi.json");
    }
    request = request.header("x-http-method-override", "GET");
    if let Some(key) = key {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    app.send(request.body(Body::from("{}")).unwrap()).await
}

on_both_engines!(no_disguise_gets_past_the_door);
async fn no_disguise_gets_past_the_door(app: TestApp) {
    let mut tried = 0;
    for (method, path, _) in operations() {
        for disguise in disguises(&filled(&path)) {
            let Ok(uri) = disguise.parse::<Uri>() else {
                continue;
            };
            tried += 1;
            let answer = send(&app, &method, &uri, None).await;
            assert!(
                matches!(answer.status.as_u16(), 401 | 404 | 405),
                "{method} {disguise}: {}",
                answer.text
            );
        }
    }
    assert!(tried > 1_000, "{tried}");
}

on_both_engines!(no_disguise_gets_past_a_permission);
async fn no_disguise_gets_past_a_permission(app: TestApp) {
    app.add_management_key(NOTHING, Some(Vec::new())).await;
    let profile = app.add_profile(r#"{"name": "P"}"#).await;
    let user = app.add_user("ada").await;
    let mut opened = 0;
    for path in [
        "/api/governance/access-profiles".to_owned(),
        format!("/api/governance/access-profiles/{profile}"),
        "/api/access-profiles".to_owned(),
        format!("/api/access-profiles/{profile}"),
        format!("/api/access-profiles/{profile}/versions/1"),
        format!("/api/users/{user}/access-profiles"),
        format!("/api/governance/users/{user}/access-profiles"),
        "/api/providers".to_owned(),
        "/api/logs".to_owned(),
    ] {
        for disguise in disguises(&path) {
            let Ok(uri) = disguise.parse::<Uri>() else {
                continue;
            };
            let admin = send(&app, &Method::GET, &uri, Some(ADMIN)).await;
            let nobody = send(&app, &Method::GET, &uri, Some(NOTHING)).await;
            if admin.status == StatusCode::OK {
                opened += 1;
                assert_eq!(nobody.error().0, 403, "{disguise}");
            } else {
                assert!(
                    matches!(nobody.status.as_u16(), 403..=405),
                    "{disguise}: {}",
                    nobody.text
                );
            }
        }
    }
    assert!(opened > 0, "the absolute form of a target is legal");
}

on_both_engines!(head_and_options_ask_like_the_rest);
async fn head_and_options_ask_like_the_rest(app: TestApp) {
    app.add_management_key(NOTHING, Some(Vec::new())).await;
    let uri: Uri = "/api/governance/access-profiles".parse().unwrap();
    for (method, expected) in [("HEAD", [401, 403, 200]), ("OPTIONS", [401, 405, 405])] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let keys = [None, Some(NOTHING), Some(ADMIN)];
        for (key, expected) in keys.into_iter().zip(expected) {
            let answer = send(&app, &method, &uri, key).await;
            assert_eq!(answer.status.as_u16(), expected, "{method} {key:?}");
        }
    }
}
