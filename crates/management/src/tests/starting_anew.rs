//! What the audit trail says of usage that does not go on through an edit.

use serde_json::{Value, json};

use super::propagation::{Held, held};
use crate::test_app::{TestApp, on_both_engines};

const KEYS: &str = "/api/governance/virtual-keys";
const TEAMS: &str = "/api/governance/teams";
const MODELS: &str = "/api/governance/model-configs";
const PROFILES: &str = "/api/governance/access-profiles";

/// What the newest audit entry names as starting anew; null when it names nothing.
async fn told(app: &TestApp) -> Value {
    let newest = app.get("/api/governance/audit-logs?limit=1").await;
    let metadata = &newest.expect(200).body["audit_logs"][0]["metadata"];
    let metadata: Value = serde_json::from_str(metadata.as_str().unwrap_or("null")).unwrap();
    metadata["usage_starts_anew"].clone()
}

fn money(id: &str, before: Option<&str>, after: &str, used: impl Into<Value>) -> Value {
    json!({"id": id, "scope": "total", "kind": "money", "reset_duration_before": before,
        "reset_duration": after, "used": used.into()})
}

on_both_engines!(edit_names_the_limits_whose_usage_starts_anew_and_no_others);
async fn edit_names_the_limits_whose_usage_starts_anew_and_no_others(app: TestApp) {
    let limits = json!({"name": "K", "budgets": [{"max_limit": 9, "reset_duration": "1M"}],
        "rate_limit": {"token_max_limit": 5, "token_reset_duration": "1d", "max_parallel_requests": 2}});
    let made = app.post(KEYS, &limits.to_string()).await.expect(201);
    assert_eq!(
        told(&app).await,
        Value::Null,
        "all that is new starts at zero"
    );
    let path = format!("{KEYS}/{}", made.text_at("/virtual_key/id"));
    let budget = made.text_at("/virtual_key/budgets/0/id");
    let rate_limit = made.text_at("/virtual_key/rate_limit/id");
    let edit = async |body: Value| {
        app.put(&path, &body.to_string()).await.expect(200);
        told(&app).await
    };
    let month = |limit: u32| json!({"id": budget, "max_limit": limit, "reset_duration": "1M"});
    let amounts = json!({"budgets": [month(1)], "rate_limit": {"token_max_limit": 1,
        "token_reset_duration": "1d", "max_parallel_requests": 7}});
    assert_eq!(edit(amounts).await, Value::Null, "other amounts");
    let aligned = json!({"calendar_aligned": true, "time_zone": "Asia/Kathmandu"});
    assert_eq!(
        edit(aligned).await,
        Value::Null,
        "usage moves with the window"
    );
    let daily = json!({"budgets": [{"id": budget, "max_limit": 1, "reset_duration": "1d"}]});
    assert_eq!(
        edit(daily).await,
        json!([money(&budget, Some("1M"), "1d", 0)])
    );
    app.live.count.lock().used = 7;
    let back = json!({"budgets": [month(1)]});
    let told = edit(back).await;
    assert_eq!(
        told,
        json!([money(&budget, Some("1d"), "1M", 7e-9)]),
        "counted before"
    );
    let rate = |kind: &str, before: Option<&str>, after: &str| {
        json!({"id": rate_limit, "scope": "total", "kind": kind, "reset_duration_before": before,
            "reset_duration": after, "used": 7})
    };
    let rates = json!({"rate_limit": {"token_max_limit": 1, "token_reset_duration": "1h",
        "request_max_limit": 3, "request_reset_duration": "1m"}});
    let expected = json!([
        rate("requests", None, "1m"),
        rate("tokens", Some("1d"), "1h")
    ]);
    assert_eq!(edit(rates).await, expected);
    let gone = json!({"budgets": [], "rate_limit": null});
    assert_eq!(edit(gone).await, Value::Null, "what is gone counts nothing");
}

on_both_engines!(entries_of_every_holder_say_what_starts_anew);
async fn entries_of_every_holder_say_what_starts_anew(app: TestApp) {
    let line = |duration: &str| json!([{"max_limit": 9, "reset_duration": duration}]);
    let holders = [
        (TEAMS, "team"),
        ("/api/governance/business-units", "business_unit"),
        ("/api/governance/customers", "customer"),
        (MODELS, "model_config"),
        (PROFILES, "access_profile"),
    ];
    for (path, holder) in holders {
        let mut body = json!({"name": "A", "budgets": line("1M")});
        if holder == "model_config" {
            body = json!({"model_name": "gpt-5", "scope": "global", "budgets": line("1M")});
        }
        let made = app.post(path, &body.to_string()).await.expect(201);
        let thing = &made.body[holder];
        let id = thing["id"]
            .as_str()
            .map_or_else(|| thing["id"].to_string(), str::to_owned);
        let budget = made.text_at(&format!("/{holder}/budgets/0/id"));
        let path = format!("{path}/{id}");
        let daily = json!({"budgets": [{"id": budget, "max_limit": 9, "reset_duration": "1d"}]});
        app.put(&path, &daily.to_string()).await.expect(200);
        let expected = json!([money(&budget, Some("1M"), "1d", 0)]);
        assert_eq!(told(&app).await, expected, "{holder}");
        if holder == "access_profile" {
            let restore = format!("{path}/versions/1/restore");
            app.post(&restore, "{}").await.expect(200);
            let expected = json!([money(&budget, Some("1d"), "1M", 0)]);
            assert_eq!(told(&app).await, expected);
        }
    }
}

fn restart(
    before: &str,
    after: &str,
    used: impl Into<Value>,
    users: &[&str],
    groups: &[&str],
) -> Value {
    json!([{"limits": [{"scope": "total", "kind": "money", "reset_duration_before": before,
        "reset_duration": after, "used": used.into()}], "user_ids": users, "group_ids": groups}])
}

on_both_engines!(propagation_names_whose_limits_start_anew);
async fn propagation_names_whose_limits_start_anew(app: TestApp) {
    let held = held(app).await;
    let Held {
        app,
        path,
        user,
        copies,
        ..
    } = &held;
    let body = json!({"access_profile_id": held.profile}).to_string();
    let team = app.post(TEAMS, r#"{"name": "T"}"#).await.expect(201);
    let team = team.text_at("/team/id");
    let of_team = format!("{TEAMS}/{team}/access-profile");
    app.post(&of_team, &body).await.expect(201);
    let edit = async |duration: &str| {
        let read = app.get(path).await.expect(200);
        let id = read.text_at("/access_profile/budgets/0/id");
        let line = json!({"budgets": [{"id": id, "max_limit": 9, "reset_duration": duration}]});
        app.put(path, &line.to_string()).await.expect(200);
    };
    let run = format!("{path}/propagate");
    edit("1d").await;
    app.post(&run, r#"{"fields": ["budgets"]}"#)
        .await
        .expect(200);
    let everybody = (&[user.as_str()][..], &[team.as_str()][..]);
    assert_eq!(
        told(app).await,
        restart("1M", "1d", 0, everybody.0, everybody.1)
    );
    app.post(&run, r#"{"fields": ["budgets"], "reset_usage": true}"#)
        .await
        .expect(200);
    assert_eq!(
        told(app).await,
        Value::Null,
        "that it was reset is said already"
    );
    app.live.count.lock().used = 7;
    edit("1w").await;
    app.post(&run, r#"{"fields": ["budgets"], "reset_usage": true}"#)
        .await
        .expect(200);
    assert_eq!(
        told(app).await,
        restart("1d", "1w", 0, everybody.0, everybody.1)
    );
    edit("1M").await;
    let one = json!({"fields": ["budgets"], "user_ids": [user]}).to_string();
    app.post(&run, &one).await.expect(200);
    assert_eq!(told(app).await, restart("1w", "1M", 7e-9, everybody.0, &[]));
    edit("1d").await;
    app.post(&run, r#"{"fields": ["budgets"]}"#)
        .await
        .expect(200);
    let mut expected = restart("1M", "1d", 7e-9, everybody.0, &[]);
    let groups = restart("1w", "1d", 7e-9, &[], everybody.1);
    expected
        .as_array_mut()
        .unwrap()
        .insert(0, groups[0].clone());
    assert_eq!(told(app).await, expected, "each as it was before");

    edit("1w").await;
    app.delete(&format!("{copies}/{}", held.profile))
        .await
        .expect(200);
    app.post(copies, &body).await.expect(201);
    let revived = told(app).await;
    assert_eq!(revived[0]["reset_duration_before"], "1d", "{revived}");
    assert_eq!(revived[0]["reset_duration"], "1w");
    app.delete(&of_team).await.expect(200);
    app.post(&of_team, &body).await.expect(201);
    let revived = told(app).await;
    assert_eq!(revived[0]["reset_duration_before"], "1d", "{revived}");
}
