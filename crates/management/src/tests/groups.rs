//! Teams, customers, business units, and what is decided for their members.

use serde_json::{Value, json};
use tollgate_domain::access::{Decision, EstimateView, Reason};
use tollgate_domain::{Clock as _, Usd};

use crate::test_app::{TestApp, on_both_engines};

const TEAMS: &str = "/api/governance/teams";

on_both_engines!(families_are_the_same_under_three_names);
async fn families_are_the_same_under_three_names(app: TestApp) {
    for (path, one, many) in [
        ("teams", "team", "teams"),
        ("customers", "customer", "customers"),
        ("business-units", "business_unit", "business_units"),
    ] {
        let root = format!("/api/governance/{path}");
        let body = r#"{"name": "Lab", "budgets": [{"max_limit": 9, "reset_duration": "1M"}]}"#;
        let made = app.post(&root, body).await.expect(201);
        let id = made.text_at(&format!("/{one}/id"));
        assert_eq!(
            app.post(&root, r#"{"name": "LAB"}"#).await.error(),
            (409, "name_taken", "/name")
        );
        let item = format!("{root}/{id}");
        let read = app.get(&item).await.expect(200);
        assert_eq!(
            read.body[one]["budgets"][0]["resets_at"],
            "2026-12-11T12:30:00Z"
        );
        let same = app
            .put(&item, &read.body[one].to_string())
            .await
            .expect(200);
        assert_eq!(same.body, read.body);
        let list = app.get(&format!("{root}?search=lab")).await.expect(200);
        assert_eq!(
            (&list.body[many][0]["id"], &list.body["total_count"]),
            (&json!(id), &json!(1))
        );
        app.delete(&item).await.expect(200);
        assert_eq!(app.get(&item).await.error().0, 404);
        assert_eq!(app.get(&format!("{root}/x")).await.error().0, 404);
    }
}

on_both_engines!(team_stands_below_a_customer_that_then_stays);
async fn team_stands_below_a_customer_that_then_stays(app: TestApp) {
    let customer = app
        .post("/api/governance/customers", r#"{"name": "C"}"#)
        .await
        .expect(201);
    let customer = customer.text_at("/customer/id");
    let body = json!({"name": "T", "customer_id": customer}).to_string();
    let team = app.post(TEAMS, &body).await.expect(201).text_at("/team/id");
    assert_eq!(
        app.delete(&format!("/api/governance/customers/{customer}"))
            .await
            .error(),
        (409, "in_use", "")
    );
    let below = app.post("/api/governance/customers", &body).await;
    assert_eq!(below.error(), (400, "inconsistent", "/customer_id"));
    let moved = app
        .put(&format!("{TEAMS}/{team}"), r#"{"customer_id": null}"#)
        .await
        .expect(200);
    assert!(moved.body["team"]["customer_id"].is_null());
    app.delete(&format!("/api/governance/customers/{customer}"))
        .await
        .expect(200);
}

on_both_engines!(members_come_and_go);
async fn members_come_and_go(app: TestApp) {
    let user = app.add_user("ada").await;
    let team = app
        .post(TEAMS, r#"{"name": "T"}"#)
        .await
        .expect(201)
        .text_at("/team/id");
    let members = format!("{TEAMS}/{team}/members");
    let body = json!({"user_id": user}).to_string();
    app.post(&members, &body).await.expect(200);
    app.post(&members, &body).await.expect(200);
    let list = app.get(&members).await.expect(200);
    assert_eq!(
        (&list.body["total_count"], &list.body["members"][0]["name"]),
        (&json!(1), &json!("ada"))
    );
    let of_user = format!("/api/governance/users/{user}/teams");
    let read = app.get(&of_user).await.expect(200);
    assert_eq!(read.body["teams"], json!([{"id": team, "name": "T"}]));
    assert_eq!(read.body["team_ids"], json!([team]));
    let found = app.get(&format!("{of_user}?search=nobody")).await;
    assert_eq!(found.expect(200).body["total_count"], 0);
    // What was read can be sent back.
    let same = app.put(&of_user, &read.text).await.expect(200);
    assert_eq!(same.body["teams"], read.body["teams"]);
    let none = app.put(&of_user, r#"{"team_ids": []}"#).await.expect(200);
    assert_eq!(none.body, json!({"teams": [], "team_ids": []}));
    assert_eq!(
        app.delete(&format!("{members}/{user}")).await.error().0,
        404
    );
    app.put(&of_user, &json!({"team_ids": [team]}).to_string())
        .await
        .expect(200);
    app.delete(&format!("{members}/{user}")).await.expect(200);
    let unknown = r#"{"user_id": "user_00000000000000000000000000000fff"}"#;
    assert_eq!(
        app.post(&members, unknown).await.error(),
        (400, "unknown_reference", "/user_id")
    );
}

on_both_engines!(groups_profile_is_part_of_what_a_member_has);
async fn groups_profile_is_part_of_what_a_member_has(app: TestApp) {
    let user = app.add_user("ada").await;
    let team = app
        .post(TEAMS, r#"{"name": "T"}"#)
        .await
        .expect(201)
        .text_at("/team/id");
    app.post(
        &format!("{TEAMS}/{team}/members"),
        &json!({"user_id": user}).to_string(),
    )
    .await
    .expect(200);
    let grant = r#"{"name": "Shared", "provider_configs": [{"provider_name": "openai", "allowed_models": ["gpt-5"]}],
        "budgets": [{"max_limit": 5, "reset_duration": "1d"}]}"#;
    let profile = app.add_profile(grant).await;
    let path = format!("{TEAMS}/{team}/access-profile");
    assert_eq!(app.get(&path).await.error().0, 404);
    let body = json!({"access_profile_id": profile, "mode": "restrict"}).to_string();
    let set = app.post(&path, &body).await.expect(201);
    assert_eq!(set.body["access_profile"]["mode"], "restrict");
    let again = app.post(&path, &body).await.expect(201);
    assert_eq!(
        again.body["access_profile"]["budgets"],
        set.body["access_profile"]["budgets"]
    );
    let policy = app
        .get(&format!("/api/governance/users/{user}/effective-policy"))
        .await
        .expect(200);
    assert_eq!(
        policy.body["grants"][0]["granted_by"]["group_id"],
        json!(team)
    );
    assert_eq!(policy.body["limits"][0]["limit"], 5);
    assert_eq!(
        app.delete(&format!("/api/governance/access-profiles/{profile}"))
            .await
            .error(),
        (409, "copies_exist", "")
    );
    app.delete(&path).await.expect(200);
    let policy = app
        .get(&format!("/api/governance/users/{user}/effective-policy"))
        .await
        .expect(200);
    assert_eq!(policy.body["grants"], json!([]));
}

on_both_engines!(decision_is_shown_in_dollars);
async fn decision_is_shown_in_dollars(app: TestApp) {
    let path = "/api/governance/explain";
    let user = "user_00000000000000000000000000000001";
    let body = json!({"user_id": user, "model": "openai/gpt-5"}).to_string();
    assert_eq!(
        app.post(path, &body).await.error(),
        (404, "not_found", "/user_id")
    );
    *app.policy.decision.lock() = Some(Decision {
        allowed: false,
        reason: Some(Reason {
            code: "model_blocked",
            status: 403,
            message: "no".to_owned(),
        }),
        at: app.clock.now(),
        revision: 3,
        payer: None,
        provider: None,
        model: None,
        mcp_client: None,
        mcp_tool: None,
        key_candidates: Vec::new(),
        meters: Vec::new(),
        considered: Vec::new(),
        estimate: Some(EstimateView {
            input_tokens: 1,
            output_tokens: 2,
            cost: Usd::from_nanos(1),
            is_bound: true,
        }),
    });
    let shown = app.post(path, &body).await.expect(200);
    assert_eq!(shown.body["reason"]["code"], "model_blocked");
    assert!(
        shown.text.contains(r#""cost_usd":0.000000001"#),
        "{}",
        shown.text
    );
    let both = json!({"user_id": user, "virtual_key_id": "vk_00000000000000000000000000000001", "model": "x"});
    assert_eq!(app.post(path, &both.to_string()).await.error().0, 400);
    assert_eq!(app.post(path, r#"{"model": "x"}"#).await.error().0, 400);
    assert_eq!(
        app.get("/api/governance/users/user_00000000000000000000000000000001/effective-policy")
            .await
            .error()
            .0,
        404
    );
}

on_both_engines!(explain_asks_for_a_model_a_tool_or_neither);
async fn explain_asks_for_a_model_a_tool_or_neither(app: TestApp) {
    let ask = async |fields: Value| {
        let mut body = json!({"user_id": "user_00000000000000000000000000000001"});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let answer = app.post("/api/governance/explain", &body.to_string()).await;
        let told = answer.error();
        (told.0, told.2.to_owned(), app.policy.asked.lock().clone())
    };
    // Nobody is known to these tests, so every question that is asked ends there.
    for (fields, asked) in [
        (
            json!({}),
            "AnyModel(AnyModelRequest { provider: None, tokens: 0 })",
        ),
        (
            json!({"provider": "openai", "input_tokens": 7, "max_output_tokens": 9}),
            "AnyModel(AnyModelRequest { provider: Some(\"openai\"), tokens: 16 })",
        ),
        (
            json!({"mcp_client": "Git"}),
            "Tool(ToolRequest { client: \"Git\", tool: None })",
        ),
        (
            json!({"mcp_client": "Git", "mcp_tool": "clone", "model": null}),
            "Tool(ToolRequest { client: \"Git\", tool: Some(\"clone\") })",
        ),
        (
            json!({"model": "gpt-5", "endpoint": "embeddings"}),
            "Model(ModelWish { provider: None, model: \"gpt-5\", endpoint: Embeddings, input_tokens: None, \
             max_output_tokens: None })",
        ),
    ] {
        let told = ask(fields.clone()).await;
        assert_eq!(
            told,
            (404, "/user_id".to_owned(), asked.to_owned()),
            "{fields}"
        );
    }
    for (fields, place) in [
        (json!({"mcp_tool": "clone"}), "/mcp_tool"),
        (json!({"mcp_client": "Git", "model": "gpt-5"}), "/model"),
        (
            json!({"mcp_client": "Git", "provider": "openai"}),
            "/provider",
        ),
        (
            json!({"mcp_client": "Git", "max_output_tokens": 0}),
            "/max_output_tokens",
        ),
    ] {
        let (status, param, _) = ask(fields.clone()).await;
        assert_eq!((status, param.as_str()), (400, place), "{fields}");
    }
}
