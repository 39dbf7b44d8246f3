//! What holds for every body within the limits of an update.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use crate::test_app::{TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
const USERS: &str = "/api/governance/users";
/// Bodies for each property and engine.
const CASES: usize = 12;

fn money() -> impl Strategy<Value = Value> {
    (0_u64..1_000, 0_u32..1_000_000_000).prop_map(|(dollars, nanos)| {
        serde_json::from_str(&format!("{dollars}.{nanos:09}")).unwrap()
    })
}

fn budget() -> impl Strategy<Value = Value> {
    let duration = select(vec!["1h", "1d", "1w", "1M", "1Q", "1Y"]);
    (money(), duration, option::of(1_u8..=12)).prop_map(|(limit, duration, month)| {
        let mut line = json!({"max_limit": limit, "reset_duration": duration});
        if let Some(month) = month.filter(|_| duration == "1Q") {
            line["reset_config"] = json!({"quarter_start_month": month});
        }
        line
    })
}

fn rate_limit() -> impl Strategy<Value = Value> {
    let window = || select(vec!["1m", "1h", "1d", "1w", "1M", "1Y"]);
    (
        option::of((0_u64..1_000_000, window())),
        option::of((0_u64..1_000, window())),
        0_u64..50,
    )
        .prop_map(|(tokens, requests, parallel)| {
            let mut limit = json!({"max_parallel_requests": parallel});
            for (kind, pair) in [("token", tokens), ("request", requests)] {
                if let Some((max, window)) = pair {
                    limit[format!("{kind}_max_limit")] = json!(max);
                    limit[format!("{kind}_reset_duration")] = json!(window);
                }
            }
            limit
        })
}

fn models() -> impl Strategy<Value = Vec<&'static str>> {
    let some = subsequence(vec!["gpt-5", "regex:o[0-9].*", "Claude-X", "a/b"], 0..=4);
    prop_oneof![3 => some, 1 => Just(vec!["*"])]
}

fn provider_configs() -> impl Strategy<Value = Value> {
    let names = subsequence(vec!["openai", "anthropic", "my.own-1", "gemini"], 0..=4);
    let part = (
        models(),
        models(),
        any::<bool>(),
        option::of(0_u32..100),
        vec(budget(), 0..3),
        option::of(rate_limit()),
        vec(budget(), 0..2),
    );
    (names.prop_shuffle(), vec(part, 4)).prop_map(|(names, parts)| {
        let configs = names.into_iter().zip(parts).map(|(name, part)| {
            let (allowed, blacklisted, all, weight, budgets, rate_limit, of_model) = part;
            json!({
                "provider_name": name, "allowed_models": allowed, "blacklisted_models": blacklisted,
                "all_models_allowed": all, "weight": weight, "budgets": budgets, "rate_limit": rate_limit,
                "model_budgets": [{"model": "gpt-5", "budgets": of_model}],
            })
        });
        configs.collect()
    })
}

/// The body of an update: any of the fields, each with any value that it may have.
fn update() -> impl Strategy<Value = Value> {
    let bool = || any::<bool>().prop_map(Value::from).boxed();
    let word = |words: &[&'static str]| select(words.to_vec()).prop_map(Value::from).boxed();
    let list = |items: BoxedStrategy<Vec<Value>>| items.prop_map(Value::from).boxed();
    let tags = subsequence(vec!["a", "B", "ü", "x y"], 0..=4).prop_shuffle();
    let rate_limit = prop_oneof![1 => Just(Value::Null), 3 => rate_limit()];
    let fields = [
        ("provider_configs", provider_configs().boxed()),
        ("budgets", list(vec(budget(), 0..5).boxed())),
        ("rate_limit", rate_limit.boxed()),
        ("calendar_aligned", bool()),
        (
            "time_zone",
            word(&["UTC", "Europe/Berlin", "Asia/Kathmandu"]),
        ),
        (
            "description",
            option::of("[a-z ]{0,20}").prop_map(Value::from).boxed(),
        ),
        ("tags", tags.prop_map(Value::from).boxed()),
        ("is_active", bool()),
        ("govern_created_keys", bool()),
        ("shadow", bool()),
        ("reservation", word(&["estimate", "bound"])),
        ("on_unknown_price", word(&["deny", "allow"])),
        ("auto_rotation_interval", word(&["1h", "30d", "365d"])),
        (
            "alert_thresholds",
            vec(1_u8..=100, 0..4).prop_map(Value::from).boxed(),
        ),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, value)| option::of(value.prop_map(move |value| (name.to_owned(), value))))
        .collect();
    fields.prop_map(|fields| Value::Object(fields.into_iter().flatten().collect::<Map<_, _>>()))
}

/// The same values in every run, so that a failure comes again.
fn cases<T: std::fmt::Debug>(strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::deterministic();
    let mut draw = || strategy.new_tree(&mut runner).unwrap().current();
    (0..CASES).map(|_| draw()).collect()
}

async fn profile_with(app: &TestApp, name: &str, body: &Value) -> String {
    let id = app.add_profile(&json!({"name": name}).to_string()).await;
    let path = format!("{PROFILES}/{id}");
    app.put(&path, &body.to_string()).await.expect(200);
    path
}

async fn audit_count(app: &TestApp) -> Value {
    let trail = app.get("/api/governance/audit-logs?limit=1").await;
    trail.expect(200).body["total_count"].clone()
}

on_both_engines!(an_update_twice_is_an_update_once);
async fn an_update_twice_is_an_update_once(app: TestApp) {
    for (case, (before, body)) in cases(&(update(), update())).into_iter().enumerate() {
        let path = profile_with(&app, &format!("P{case}"), &before).await;
        let once = app.put(&path, &body.to_string()).await.expect(200);
        let audited = audit_count(&app).await;
        app.clock.advance(std::time::Duration::from_secs(1));
        let twice = app.put(&path, &body.to_string()).await.expect(200);
        assert_eq!(twice.text, once.text, "{body}");
        assert_eq!(audit_count(&app).await, audited, "{body}");
    }
}

on_both_engines!(what_was_read_can_be_sent_back_and_changes_nothing);
async fn what_was_read_can_be_sent_back_and_changes_nothing(app: TestApp) {
    for (case, body) in cases(&update()).into_iter().enumerate() {
        let path = profile_with(&app, &format!("P{case}"), &body).await;
        let read = app.get(&path).await.expect(200);
        let audited = audit_count(&app).await;
        app.clock.advance(std::time::Duration::from_secs(1));
        let sent = read.body["access_profile"].to_string();
        let answer = app.put(&path, &sent).await.expect(200);
        assert_eq!(
            answer.body["access_profile"], read.body["access_profile"],
            "{sent}"
        );
        assert_eq!(app.get(&path).await.expect(200).text, read.text, "{sent}");
        assert_eq!(audit_count(&app).await, audited, "{sent}");
    }
}

on_both_engines!(a_restored_version_differs_in_nothing);
async fn a_restored_version_differs_in_nothing(app: TestApp) {
    for (case, updates) in cases(&vec(update(), 2..4)).into_iter().enumerate() {
        let path = profile_with(&app, &format!("P{case}"), &updates[0]).await;
        for body in &updates[1..] {
            app.put(&path, &body.to_string()).await.expect(200);
        }
        let read = app.get(&path).await.expect(200);
        let newest = read.body["access_profile"]["version"].as_u64().unwrap();
        for version in 1..=newest {
            let restored = app
                .post(&format!("{path}/versions/{version}/restore"), "")
                .await
                .expect(200);
            let now = &restored.body["access_profile"]["version"];
            let diff = app
                .get(&format!("{path}/versions/{version}/diff/{now}"))
                .await
                .expect(200);
            assert_eq!(diff.body["changes"], json!([]), "{updates:?}");
        }
    }
}

/// A part of a holder's copy as dry runs show it: without usage.
fn part(copy: &Value, field: &str) -> Value {
    let with_windows = |lines: &Value| json!({"lines": lines, "calendar_aligned": copy["calendar_aligned"], "time_zone": copy["time_zone"]});
    let mut part = match field {
        "budgets" | "rate_limit" => with_windows(&copy[field]),
        "settings" => {
            json!({"reservation": copy["reservation"], "on_unknown_price": copy["on_unknown_price"], "shadow": copy["shadow"]})
        }
        _ => copy[field].clone(),
    };
    strip_usage(&mut part);
    part
}

fn strip_usage(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(strip_usage),
        Value::Object(fields) => {
            fields.retain(|name, _| !name.contains("reset_at") && !name.contains("last_reset"));
            for name in [
                "current_usage",
                "reserved",
                "remaining",
                "resets_at",
                "token_resets_at",
                "request_resets_at",
                "current_parallel_requests",
                "token_current_usage",
                "request_current_usage",
                // Of settings, a copy does not show these.
                "alert_thresholds",
                "auto_rotation_interval",
                "govern_created_keys",
            ] {
                fields.remove(name);
            }
            fields.values_mut().for_each(strip_usage);
        }
        _ => {}
    }
}

const FIELDS: [&str; 7] = [
    "provider_configs",
    "budgets",
    "rate_limit",
    "mcp_tool_groups",
    "mcp_servers",
    "mcp_tool_overrides",
    "settings",
];

on_both_engines!(a_dry_run_predicts_the_run_and_a_second_run_does_nothing);
async fn a_dry_run_predicts_the_run_and_a_second_run_does_nothing(app: TestApp) {
    let fields = subsequence(FIELDS.to_vec(), 1..=FIELDS.len());
    let user = app.add_user("ada").await;
    let copies = format!("{USERS}/{user}/access-profiles");
    for (case, (before, after, fields)) in
        cases(&(update(), update(), fields)).into_iter().enumerate()
    {
        let path = profile_with(&app, &format!("P{case}"), &before).await;
        app.put(&path, r#"{"is_active": true}"#).await.expect(200);
        let id: i64 = path.rsplit('/').next().unwrap().parse().unwrap();
        app.post(&copies, &format!(r#"{{"access_profile_id": {id}}}"#))
            .await
            .expect(201);
        app.put(&path, &after.to_string()).await.expect(200);
        let copy = || async {
            let held = app.get(&copies).await.expect(200).body["access_profiles"].clone();
            let held = held.as_array().unwrap().iter();
            let mut of_profile = held.filter(|one| one["parent_profile_id"] == id);
            of_profile.next().unwrap().clone()
        };
        let old = copy().await;
        let run = format!("{path}/propagate");
        let body = |dry: bool| json!({"fields": fields, "dry_run": dry}).to_string();
        let dry = app.post(&run, &body(true)).await.expect(200);
        assert_eq!(copy().await, old, "a dry run does nothing");
        let done = app.post(&run, &body(false)).await.expect(200);
        for counted in [
            "affected_users",
            "failed_users",
            "skipped_users",
            "user_ids",
            "fields",
        ] {
            assert_eq!(dry.body[counted], done.body[counted], "{counted}");
        }
        let new = copy().await;
        let changes = dry.body["changes"].as_array().unwrap();
        for field in FIELDS {
            let predicted = changes.iter().find(|change| change["field"] == field);
            let (mut expect_old, mut expect_new) = (part(&old, field), part(&old, field));
            if let Some(change) = predicted {
                (expect_old, expect_new) = (change["before"].clone(), change["after"].clone());
                strip_usage(&mut expect_old);
                strip_usage(&mut expect_new);
            }
            assert_eq!(part(&old, field), expect_old, "{field} before: {changes:?}");
            assert_eq!(part(&new, field), expect_new, "{field} after: {changes:?}");
        }
        let again = app.post(&run, &body(false)).await.expect(200);
        assert_eq!(again.body["affected_users"], 0);
        assert_eq!(copy().await, new, "a second run does nothing");
    }
}
