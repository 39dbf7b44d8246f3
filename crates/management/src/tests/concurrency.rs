//! A hundred writers at once.

use std::sync::Arc;

use http::{Method, Request, header};
use serde_json::json;
use tokio::task::JoinSet;

use crate::test_app::{ADMIN, TestAnswer, TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
const USERS: &str = "/api/governance/users";
const WRITERS: usize = 100;

async fn put_if(app: &TestApp, path: &str, version: &str, body: String) -> TestAnswer {
    let request = Request::put(path)
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN}"))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::IF_MATCH, version);
    app.send(request.body(body.into()).unwrap()).await
}

/// Counts up in the profile's rotation interval, in hours. How many of the attempts were stored.
async fn count_up(app: &TestApp, path: &str, attempts: usize) -> u64 {
    const HOUR: i64 = 3_600_000_000_000;
    let mut stored = 0;
    for _ in 0..attempts {
        let read = app.get(path).await.expect(200);
        let version = read.headers[header::ETAG].to_str().unwrap().to_owned();
        let hours = read.body["access_profile"]["auto_rotation_interval"].as_i64();
        let next = hours.unwrap() + HOUR;
        let body = json!({"auto_rotation_interval": next}).to_string();
        let answer = put_if(app, path, &version, body).await;
        match answer.status.as_u16() {
            200 => stored += 1,
            412 => {}
            _ => panic!("{}", answer.text),
        }
    }
    stored
}

/// Versions 1, 2, 3, … up to the newest, which is returned.
async fn assert_no_gaps(app: &TestApp, path: &str) -> u64 {
    let mut numbers = Vec::new();
    loop {
        let page = format!("{path}/versions?limit=100&offset={}", numbers.len());
        let page = app.get(&page).await.expect(200);
        let versions = page.body["versions"].as_array().unwrap();
        if versions.is_empty() {
            break;
        }
        numbers.extend(versions.iter().map(|one| one["version"].as_u64().unwrap()));
    }
    numbers.reverse();
    let newest = u64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=newest).collect::<Vec<_>>());
    let read = app.get(path).await.expect(200);
    assert_eq!(read.body["access_profile"]["version"], newest);
    newest
}

/// All writers at once, spread over so many profiles. Nothing that was answered with success is lost.
async fn race(app: TestApp, profiles: usize) {
    let app = Arc::new(app);
    let mut paths = Vec::new();
    for number in 0..profiles {
        let id = app.add_profile(&format!(r#"{{"name": "{number}"}}"#)).await;
        paths.push(format!("{PROFILES}/{id}"));
    }
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (app, path) = (app.clone(), paths[writer % profiles].clone());
        writers.spawn(async move { (path.clone(), count_up(&app, &path, 2).await) });
    }
    let stored = writers.join_all().await;
    for path in paths {
        let of_path = stored.iter().filter(|(written, _)| *written == path);
        let count: u64 = of_path.map(|(_, stored)| stored).sum();
        assert!(count > 0);
        assert_eq!(assert_no_gaps(&app, &path).await, count + 1);
        let read = app.get(&path).await.expect(200);
        let hours = read.body["access_profile"]["auto_rotation_interval"].as_u64();
        assert_eq!(hours.unwrap() / 3_600_000_000_000, count, "no lost update");
    }
}

on_both_engines!(a_hundred_writers_on_one_profile_lose_nothing);
async fn a_hundred_writers_on_one_profile_lose_nothing(app: TestApp) {
    race(app, 1).await;
}

on_both_engines!(a_hundred_writers_on_different_profiles_lose_nothing);
async fn a_hundred_writers_on_different_profiles_lose_nothing(app: TestApp) {
    race(app, 25).await;
}

on_both_engines!(without_a_version_the_last_of_a_hundred_writers_wins);
async fn without_a_version_the_last_of_a_hundred_writers_wins(app: TestApp) {
    let app = Arc::new(app);
    let path = format!("{PROFILES}/{}", app.add_profile(r#"{"name": "P"}"#).await);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (app, path) = (app.clone(), path.clone());
        let body = format!(r#"{{"description": "{writer}"}}"#);
        writers.spawn(async move { app.put(&path, &body).await.expect(200) });
    }
    writers.join_all().await;
    assert_eq!(assert_no_gaps(&app, &path).await, 101);
}

/// What a writer of the crowd does.
async fn act(app: &TestApp, number: usize, profile: i64, user: &str) -> TestAnswer {
    let copies = format!("{USERS}/{user}/access-profiles");
    let held = format!("{copies}/{profile}");
    match number % 8 {
        0 => {
            let body = format!(r#"{{"name": "n{number}"}}"#);
            app.post(&format!("{PROFILES}/{profile}/clone"), &body)
                .await
        }
        1 | 2 => {
            let body = format!(r#"{{"access_profile_id": {profile}}}"#);
            app.post(&copies, &body).await
        }
        3 => app.delete(&held).await,
        4 => {
            let body = r#"{"fields": ["budgets", "settings"]}"#;
            app.post(&format!("{PROFILES}/{profile}/propagate"), body)
                .await
        }
        5 => {
            let body = format!(
                r#"{{"budgets": [{{"max_limit": {number}, "reset_duration": "1d"}}], "shadow": true}}"#
            );
            app.put(&format!("{PROFILES}/{profile}"), &body).await
        }
        6 => {
            let body = format!(r#"{{"name": "key {number}"}}"#);
            app.post(&format!("{USERS}/{user}/virtual-keys"), &body)
                .await
        }
        _ => {
            let path = format!("{PROFILES}/{profile}");
            app.call_as(ADMIN, Method::DELETE, &path, None).await
        }
    }
}

on_both_engines!(a_crowd_that_does_everything_at_once_gets_no_5xx);
async fn a_crowd_that_does_everything_at_once_gets_no_5xx(app: TestApp) {
    let app = Arc::new(app);
    let (ada, eve) = (app.add_user("ada").await, app.add_user("eve").await);
    let mut profiles = Vec::new();
    for name in ["a", "b", "c"] {
        profiles.push(app.add_profile(&format!(r#"{{"name": "{name}"}}"#)).await);
    }
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let app = app.clone();
        let (profile, user) = (profiles[number % 3], [&ada, &eve][number / 8 % 2].clone());
        writers.spawn(async move { act(&app, number, profile, &user).await });
    }
    let answers = writers.join_all().await;
    for answer in &answers {
        assert!(
            matches!(answer.status.as_u16(), 200 | 201 | 404 | 409),
            "{}",
            answer.text
        );
    }
    assert!(answers.iter().any(|answer| answer.status.is_success()));
    let check = tollgate_storage::audit::verify(&app.store).await.unwrap();
    assert!(matches!(
        check,
        tollgate_storage::audit::ChainCheck::Intact { .. }
    ));
}
