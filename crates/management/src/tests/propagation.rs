//! Versions, propagation, roles and overrides.

use serde_json::json;

use crate::test_app::{TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
const USERS: &str = "/api/governance/users";
pub(super) const BASE: &str =
    r#"{"name": "Base", "budgets": [{"max_limit": 10, "reset_duration": "1M"}], "tags": ["a"]}"#;

pub(super) struct Held {
    pub(super) app: TestApp,
    pub(super) profile: i64,
    /// The profile's path.
    pub(super) path: String,
    pub(super) user: String,
    /// The path of the user's profiles.
    pub(super) copies: String,
}

pub(super) async fn held(app: TestApp) -> Held {
    let profile = app.add_profile(BASE).await;
    let user = app.add_user("ada").await;
    let copies = format!("{USERS}/{user}/access-profiles");
    app.post(&copies, &format!(r#"{{"access_profile_id": {profile}}}"#))
        .await
        .expect(201);
    let path = format!("{PROFILES}/{profile}");
    Held {
        app,
        profile,
        path,
        user,
        copies,
    }
}

on_both_engines!(versions_can_be_read_compared_and_restored);
async fn versions_can_be_read_compared_and_restored(app: TestApp) {
    let Held { app, path, .. } = held(app).await;
    let edit = r#"{"budgets": [{"max_limit": 10.000000001, "reset_duration": "1M"}], "tags": []}"#;
    app.put(&path, edit).await.expect(200);
    let list = app.get(&format!("{path}/versions")).await.expect(200);
    assert_eq!(list.body["total_count"], 2);
    assert_eq!(list.body["versions"][0]["version"], 2, "newest first");
    let one = app.get(&format!("{path}/versions/1")).await.expect(200);
    assert!(one.text_at("/version/snapshot").starts_with('{'));
    let diff = app
        .get(&format!("{path}/versions/1/diff/2"))
        .await
        .expect(200);
    let fields: Vec<_> = diff.body["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["field"].clone())
        .collect();
    assert_eq!(
        fields,
        [
            "/budgets/0/effective_max_limit",
            "/budgets/0/max_limit",
            "/budgets/0/remaining",
            "/tags/0"
        ]
    );
    assert!(diff.text.contains("10.000000001"));
    let restore = format!("{path}/versions/1/restore");
    let restored = app
        .call_as(crate::test_app::ADMIN, http::Method::POST, &restore, None)
        .await;
    assert_eq!(restored.expect(200).body["access_profile"]["version"], 3);
    let diff = app
        .get(&format!("{path}/versions/1/diff/3"))
        .await
        .expect(200);
    assert_eq!(diff.body["changes"], json!([]));
    for missing in ["versions/9", "versions/x", "versions/1/diff/9"] {
        assert_eq!(app.get(&format!("{path}/{missing}")).await.error().0, 404);
    }
}

on_both_engines!(every_write_is_in_the_audit_trail_once);
async fn every_write_is_in_the_audit_trail_once(app: TestApp) {
    let Held {
        app,
        path,
        user,
        copies,
        profile,
    } = held(app).await;
    app.put(&path, r#"{"description": "x"}"#).await.expect(200);
    app.put(&path, r#"{"description": "x"}"#).await.expect(200);
    app.put(&path, r#"{"name": ""}"#).await.expect(400);
    app.delete(&format!("{copies}/{profile}")).await.expect(200);
    let logs = app.get(&format!("{path}/audit-logs")).await.expect(200);
    let actions: Vec<_> = logs.body["audit_logs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["action"].clone())
        .collect();
    assert_eq!(actions, ["detach", "update", "assign", "create"]);
    let update = &logs.body["audit_logs"][1];
    assert!(
        update["previous_values"]
            .as_str()
            .unwrap()
            .contains("\"description\":null")
    );
    assert!(
        update["new_values"]
            .as_str()
            .unwrap()
            .contains("\"description\":\"x\"")
    );
    let of_user = app
        .get(&format!(
            "{PROFILES}/audit-logs?user_id={user}&action=assign"
        ))
        .await
        .expect(200);
    assert_eq!(of_user.body["total_count"], 1);
    assert_eq!(
        app.get(&format!("{PROFILES}/audit-logs?user_id=x"))
            .await
            .error()
            .0,
        400
    );
    let check = tollgate_storage::audit::verify(&app.store).await.unwrap();
    assert!(matches!(
        check,
        tollgate_storage::audit::ChainCheck::Intact { .. }
    ));
}

on_both_engines!(dry_run_predicts_what_the_run_does);
async fn dry_run_predicts_what_the_run_does(app: TestApp) {
    let Held {
        app,
        path,
        user,
        copies,
        ..
    } = held(app).await;
    let before = app.get(&copies).await.body["access_profiles"][0].clone();
    app.put(
        &path,
        r#"{"budgets": [{"max_limit": 20, "reset_duration": "1M"}], "shadow": true}"#,
    )
    .await
    .expect(200);
    assert_eq!(
        app.get(&copies).await.body["access_profiles"][0],
        before,
        "templates change alone"
    );
    let drift = app.get(&format!("{path}/drift")).await.expect(200);
    assert_eq!(
        drift.body["copies"][0]["fields"].as_array().unwrap().len(),
        2
    );
    let run = format!("{path}/propagate");
    let dry = app
        .post(&run, r#"{"fields": ["budgets"], "dry_run": true}"#)
        .await
        .expect(200);
    assert_eq!(dry.body["applied"], false);
    assert_eq!(dry.body["user_ids"], json!([user]));
    assert_eq!(dry.body["changes"][0]["field"], "budgets");
    assert_eq!(app.get(&copies).await.body["access_profiles"][0], before);
    let done = app
        .post(&run, r#"{"fields": ["budgets"]}"#)
        .await
        .expect(200);
    assert_eq!(
        (&done.body["affected_users"], &done.body["skipped_users"]),
        (&json!(1), &json!(0))
    );
    let after = app.get(&copies).await.body["access_profiles"][0].clone();
    assert_eq!(
        after["budgets"][0]["id"], before["budgets"][0]["id"],
        "usage is kept"
    );
    let predicted = &dry.body["changes"][0]["after"]["lines"][0];
    assert_eq!(
        (
            &after["budgets"][0]["id"],
            &after["budgets"][0]["max_limit"]
        ),
        (&predicted["id"], &predicted["max_limit"])
    );
    assert_eq!(after["budgets"][0]["max_limit"], 20);
    assert_eq!(after["shadow"], false, "only the named field");
    let again = app
        .post(&run, r#"{"fields": ["budgets"]}"#)
        .await
        .expect(200);
    assert_eq!(
        (&again.body["affected_users"], &again.body["skipped_users"]),
        (&json!(0), &json!(1))
    );
    app.post(&run, r#"{"fields": ["settings"]}"#)
        .await
        .expect(200);
    let drift = app.get(&format!("{path}/drift")).await.expect(200);
    assert_eq!(drift.body["copies"][0]["fields"], json!([]));
}

on_both_engines!(propagate_takes_a_list_of_users_and_resets_usage);
async fn propagate_takes_a_list_of_users_and_resets_usage(app: TestApp) {
    let Held {
        app, path, user, ..
    } = held(app).await;
    let run = format!("{path}/propagate");
    let other = app.add_user("grace").await;
    let body = json!({"fields": ["budgets"], "user_ids": [other]}).to_string();
    let nobody = app.post(&run, &body).await.expect(200);
    assert_eq!(
        (
            &nobody.body["affected_users"],
            &nobody.body["skipped_users"]
        ),
        (&json!(0), &json!(1))
    );
    let body = format!(r#"{{"fields": ["budgets"], "user_ids": ["{user}"], "reset_usage": true}}"#);
    assert_eq!(
        app.post(&run, &body).await.expect(200).body["affected_users"],
        1
    );
    assert_eq!(app.live.reset.lock().len(), 1);
    assert_eq!(
        app.post(&run, r#"{"fields": []}"#).await.error(),
        (400, "invalid_value", "/fields")
    );
    assert_eq!(
        app.post(&run, r#"{"fields": ["colour"]}"#).await.error(),
        (400, "invalid_value", "/fields/0")
    );
}

on_both_engines!(raise_ends_after_its_cycles);
async fn raise_ends_after_its_cycles(app: TestApp) {
    let Held {
        app,
        path,
        copies,
        profile,
        ..
    } = held(app).await;
    let budget = app
        .get(&copies)
        .await
        .text_at("/access_profiles/0/budgets/0/id");
    let raise = format!("{copies}/{profile}/budgets/{budget}/override");
    let set = app
        .put(&raise, r#"{"amount": 2.5, "mode": "cycles", "cycles": 2}"#)
        .await
        .expect(200);
    assert_eq!(set.body["effective_max_limit"], 12.5);
    assert_eq!(
        set.body["budget"]["override"]["until"],
        "2027-01-11T12:30:00Z"
    );
    assert_eq!(set.body["budget"]["remaining"], 12.5);
    app.post(&format!("{path}/propagate"), r#"{"fields": ["budgets"]}"#)
        .await
        .expect(200);
    let shown = app.get(&copies).await;
    assert_eq!(
        shown.body["access_profiles"][0]["budgets"][0]["effective_max_limit"],
        12.5
    );
    for (body, code, place) in [
        (
            r#"{"amount": 0, "mode": "forever"}"#,
            "invalid_value",
            "/amount",
        ),
        (
            r#"{"amount": 1, "mode": "cycles"}"#,
            "inconsistent",
            "/cycles",
        ),
        (
            r#"{"amount": 1, "mode": "cycles", "cycles": 0}"#,
            "invalid_value",
            "/cycles",
        ),
        (
            r#"{"amount": 1, "mode": "forever", "cycles": 1}"#,
            "inconsistent",
            "/cycles",
        ),
        (
            r#"{"amount": 1, "mode": "often"}"#,
            "invalid_value",
            "/mode",
        ),
    ] {
        assert_eq!(
            app.put(&raise, body).await.error(),
            (400, code, place),
            "{body}"
        );
    }
    let gone = app.delete(&raise).await.expect(200);
    assert_eq!(gone.body["effective_max_limit"], 10);
    assert_eq!(app.delete(&raise).await.error().0, 404);
    let unknown = raise.replace(&budget, "bud_00000000000000000000000000000fff");
    assert_eq!(
        app.put(&unknown, r#"{"amount": 1, "mode": "forever"}"#)
            .await
            .error()
            .0,
        404
    );
}

on_both_engines!(propagate_names_only_users_and_teams_that_exist);
async fn propagate_names_only_users_and_teams_that_exist(app: TestApp) {
    let Held {
        app,
        path,
        user,
        copies,
        ..
    } = held(app).await;
    let edit = r#"{"budgets": [{"max_limit": 20, "reset_duration": "1M"}]}"#;
    app.put(&path, edit).await.expect(200);
    let before = app.get(&copies).await.expect(200);
    for dry_run in [true, false] {
        let body = json!({"fields": ["budgets"], "dry_run": dry_run, "reset_usage": true,
            "user_ids": [user, "user_00000000000000000000000000000fff"],
            "group_ids": ["team_00000000000000000000000000000fff"]});
        let refused = app
            .post(&format!("{path}/propagate"), &body.to_string())
            .await
            .expect(400);
        let errors = refused.body["extra_fields"]["errors"].as_array().unwrap();
        let told: Vec<_> = errors
            .iter()
            .map(|one| {
                (
                    one["code"].as_str().unwrap(),
                    one["param"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("unknown_reference", "/user_ids/1"),
                ("unknown_reference", "/group_ids/0"),
            ]
        );
    }
    assert_eq!(app.get(&copies).await.expect(200).body, before.body);
    assert!(app.live.reset.lock().is_empty());
}

on_both_engines!(shared_copies_of_groups_follow_the_template);
async fn shared_copies_of_groups_follow_the_template(app: TestApp) {
    let profile = app.add_profile(BASE).await;
    let path = format!("{PROFILES}/{profile}");
    let mut copies = Vec::new();
    for (family, one, mode) in [
        ("teams", "team", "unite"),
        ("business-units", "business_unit", "restrict"),
        ("customers", "customer", "unite"),
    ] {
        let root = format!("/api/governance/{family}");
        let made = app.post(&root, r#"{"name": "G"}"#).await.expect(201);
        let id = made.text_at(&format!("/{one}/id"));
        let copy = format!("{root}/{id}/access-profile");
        let body = json!({"access_profile_id": profile, "mode": mode}).to_string();
        app.post(&copy, &body).await.expect(201);
        copies.push((id, copy, mode));
    }
    let read = async |copy: &str| app.get(copy).await.expect(200).body["access_profile"].clone();
    let before = read(&copies[0].1).await;
    let edit = r#"{"budgets": [{"max_limit": 20, "reset_duration": "1M"}], "shadow": true}"#;
    app.put(&path, edit).await.expect(200);
    let run = format!("{path}/propagate");
    let dry = app
        .post(&run, r#"{"fields": ["budgets"], "dry_run": true}"#)
        .await
        .expect(200);
    assert_eq!(dry.body["affected_groups"], 3);
    assert_eq!(dry.body["group_changes"].as_array().unwrap().len(), 3);
    assert_eq!(read(&copies[0].1).await, before, "a dry run does nothing");
    let user = app.add_user("ada").await;
    let user = json!({"fields": ["budgets"], "user_ids": [user]}).to_string();
    let users = app.post(&run, &user).await.expect(200);
    assert_eq!(users.body["group_ids"], json!([]), "only users are named");
    let team = json!({"fields": ["budgets"], "group_ids": [copies[0].0]}).to_string();
    let one = app.post(&run, &team).await.expect(200);
    assert_eq!(one.body["group_ids"], json!([copies[0].0]));
    let all = app
        .post(&run, r#"{"fields": ["budgets"], "reset_usage": true}"#)
        .await
        .expect(200);
    assert_eq!(all.body["affected_groups"], 3);
    assert_eq!(app.live.reset.lock().len(), 3);
    for (_, copy, mode) in &copies {
        let after = read(copy).await;
        assert_eq!(
            (&after["mode"], &after["budgets"][0]["max_limit"]),
            (&json!(mode), &json!(20))
        );
        assert_eq!(after["profile_version"], 2);
    }
    let after = read(&copies[0].1).await;
    assert_eq!(after["budgets"][0]["id"], before["budgets"][0]["id"]);
    let again = app
        .post(&run, r#"{"fields": ["budgets"]}"#)
        .await
        .expect(200);
    assert_eq!(again.body["affected_groups"], 0);
}
