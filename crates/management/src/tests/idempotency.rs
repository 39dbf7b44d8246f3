//! Repeated requests.

use std::pin::pin;
use std::sync::Arc;

use http::{Request, header};

use super::mortal::{ends_within, in_a_mortal_process};
use crate::test_app::{ADMIN, TestAnswer, TestApp, on_both_engines};

const KEYS: &str = "/api/governance/virtual-keys";

async fn post_to(app: &TestApp, path: &str, key: &str, body: &str) -> TestAnswer {
    let request = Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", key);
    app.send(request.body(body.to_owned().into()).unwrap())
        .await
}

async fn post(app: &TestApp, key: &str, body: &str) -> TestAnswer {
    post_to(app, KEYS, key, body).await
}

fn is_replayed(answer: &TestAnswer) -> bool {
    answer.headers.contains_key("idempotent-replayed")
}

on_both_engines!(repeated_creation_happens_once);
async fn repeated_creation_happens_once(app: TestApp) {
    let first = post(&app, "k1", r#"{"name": "a"}"#).await.expect(201);
    assert!(!is_replayed(&first));
    let again = post(&app, "k1", r#"{"name": "a"}"#).await.expect(201);
    assert!(is_replayed(&again));
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

on_both_engines!(repeated_rotation_rotates_once);
async fn repeated_rotation_rotates_once(app: TestApp) {
    let made = post(&app, "make", r#"{"name": "a"}"#).await.expect(201);
    let key = format!("{KEYS}/{}", made.text_at("/virtual_key/id"));
    let rotate = format!("{key}/rotate");
    let turn = async || post_to(&app, &rotate, "turn", r#"{"grace": "15m"}"#).await;
    let first = turn().await.expect(200);
    let read = app.get(&key).await.expect(200);
    let again = turn().await.expect(200);
    assert!(is_replayed(&again));
    assert_eq!(again.text_at("/virtual_key/value"), "sk-tg-…");
    assert_eq!(
        again.body["virtual_key"]["previous_value_until"],
        first.body["virtual_key"]["previous_value_until"]
    );
    assert_eq!(app.get(&key).await.expect(200).body, read.body);
}

on_both_engines!(request_has_one_name);
async fn request_has_one_name(app: TestApp) {
    let request = Request::post(KEYS)
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "one")
        .header("idempotency-key", "two");
    let request = request.body(r#"{"name": "a"}"#.into()).unwrap();
    assert_eq!(app.send(request).await.error(), (400, "invalid_value", ""));
    assert_eq!(app.get(KEYS).await.body["total_count"], 0);
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

on_both_engines!(answer_that_changes_nothing_is_repeated_too);
async fn answer_that_changes_nothing_is_repeated_too(app: TestApp) {
    let id = app.add_profile(r#"{"name": "P"}"#).await;
    let path = format!("/api/governance/access-profiles/{id}/propagate");
    let body = r#"{"fields": ["budgets"], "dry_run": true}"#;
    let first = post_to(&app, &path, "k", body).await.expect(200);
    let again = post_to(&app, &path, "k", body).await.expect(200);
    assert!(is_replayed(&again) && !is_replayed(&first));
    assert_eq!(again.body, first.body);
}

on_both_engines!(repeated_answer_has_the_headers_of_the_first);
async fn repeated_answer_has_the_headers_of_the_first(app: TestApp) {
    for path in ["/api/governance/access-profiles", "/api/access-profiles"] {
        let key = path.replace('/', "-");
        let body = format!(r#"{{"name": "{key}"}}"#);
        let first = post_to(&app, path, &key, &body).await.expect(201);
        let again = post_to(&app, path, &key, &body).await.expect(201);
        assert!(is_replayed(&again));
        assert_eq!(again.headers["etag"], "\"1\"");
        let own = |answer: &TestAnswer| {
            let mut headers = answer.headers.clone();
            headers.remove("x-request-id");
            headers.remove("idempotent-replayed");
            headers
        };
        assert_eq!(own(&again), own(&first));
        assert_eq!(again.text, first.text);
    }
}

on_both_engines!(one_of_many_at_the_same_time_runs);
async fn one_of_many_at_the_same_time_runs(app: TestApp) {
    let app = Arc::new(app);
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let app = app.clone();
        requests.spawn(async move { post(&app, "k", r#"{"name": "a"}"#).await.expect(201) });
    }
    let answers = requests.join_all().await;
    let ran = answers.iter().filter(|answer| !is_replayed(answer)).count();
    assert_eq!(ran, 1);
    let id = |answer: &TestAnswer| answer.text_at("/virtual_key/id");
    assert!(answers.iter().all(|one| id(one) == id(&answers[0])));
    assert_eq!(app.get(KEYS).await.body["total_count"], 1);
}

on_both_engines!(request_with_another_key_does_not_wait);
async fn request_with_another_key_does_not_wait(app: TestApp) {
    let writer = app.store.begin().await.unwrap();
    let mut first = pin!(post(&app, "k", r#"{"name": "a"}"#));
    tokio::select! {
        biased;
        answer = &mut first => panic!("wrote while another write was open: {}", answer.text),
        answer = post(&app, "l", "{}") => assert_eq!(answer.error().0, 400),
    }
    writer.rollback().await.unwrap();
    first.await.expect(201);
}

/// The key was made once, and the request with its name gets it.
async fn assert_made_once(app: &TestApp, name: &str) -> TestAnswer {
    let again = post(app, name, &format!(r#"{{"name": "{name}"}}"#)).await;
    let again = again.expect(201);
    let found = app.get(&format!("{KEYS}?search={name}")).await;
    assert_eq!(found.body["total_count"], 1, "{name}");
    let id = &found.body["virtual_keys"][0]["id"];
    assert_eq!(*id, again.body["virtual_key"]["id"], "{name}");
    again
}

on_both_engines!(process_that_dies_before_it_answers_leaves_the_answer_behind);
async fn process_that_dies_before_it_answers_leaves_the_answer_behind(app: TestApp) {
    let (db, ids) = (app.db.clone(), app.ids.clone());
    in_a_mortal_process(async move || {
        let app = TestApp::open(db, ids).await;
        let committed = app.policy.stall();
        tokio::select! {
            _ = post(&app, "k", r#"{"name": "k"}"#) => panic!("answered before it was published"),
            stalled = committed => stalled.unwrap(),
        }
    });
    assert!(is_replayed(&assert_made_once(&app, "k").await));
}

on_both_engines!(process_that_dies_at_any_point_does_nothing_twice);
async fn process_that_dies_at_any_point_does_nothing_twice(app: TestApp) {
    for wakes in (0..).step_by(3) {
        let name = format!("key-{wakes}-");
        let (db, ids, key) = (app.db.clone(), app.ids.clone(), name.clone());
        let was_answered = in_a_mortal_process(async move || {
            let app = TestApp::open(db, ids).await;
            let body = format!(r#"{{"name": "{key}"}}"#);
            ends_within(wakes, post(&app, &key, &body)).await
        });
        let again = assert_made_once(&app, &name).await;
        if was_answered {
            assert!(is_replayed(&again));
            break;
        }
    }
}
