//! Repeated requests.

use http::{Request, header};

use crate::test_app::{ADMIN, TestAnswer, TestApp, on_both_engines};

const KEYS: &str = "/api/governance/virtual-keys";

async fn post(app: &TestApp, key: &str, body: &'static str) -> TestAnswer {
    let request = Request::post(KEYS)
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key);
    app.send(request.body(body.into()).unwrap()).await
}

on_both_engines!(repeated_creation_happens_once);
async fn repeated_creation_happens_once(app: TestApp) {
    let first = post(&app, "k1", r#"{"name": "a"}"#).await.expect(201);
    let again = post(&app, "k1", r#"{"name": "a"}"#).await.expect(201);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(
        again.body["virtual_key"]["id"],
        first.body["virtual_key"]["id"]
    );
    assert_eq!(again.body["virtual_key"]["value"], "sk-tg-…");
    let other = post(&app, "k1", r#"{"name": "b"}"#).await;
    assert_eq!(other.error(), (409, "idempotency_key_reused", ""));
    assert_eq!(post(&app, "k2", r#"{"name": "a"}"#).await.error().0, 409);
    assert_eq!(app.get(KEYS).await.body["total_count"], 1);
}

on_both_engines!(refused_request_can_be_repeated_and_keys_expire);
async fn refused_request_can_be_repeated_and_keys_expire(app: TestApp) {
    assert_eq!(post(&app, "k", "{}").await.error().0, 400);
    post(&app, "k", r#"{"name": "a"}"#).await.expect(201);
    app.clock
        .advance(std::time::Duration::from_secs(24 * 3_600 + 1));
    post(&app, "k", r#"{"name": "b"}"#).await.expect(201);
    assert_eq!(post(&app, "", r#"{"name": "c"}"#).await.error().0, 400);
}
