//! The request log and limits on models.

use serde_json::json;
use tollgate_domain::access::Endpoint;
use tollgate_domain::accounting::{
    Ending, FoldBatch, HoldFacts, JournalPosition, LogEntry, Outcome, Shadow,
};
use tollgate_domain::ids::{RequestId, VirtualKeyId};
use tollgate_domain::limits::{MeterId, MeterKind};
use tollgate_domain::{Clock as _, IdSource as _, TokenUsage, Usd};
use uuid::Uuid;

use crate::test_app::{TestApp, on_both_engines};

const LOGS: &str = "/api/logs";
const CONFIGS: &str = "/api/governance/model-configs";

/// A budget in shadow mode that the request passed by.
const LINE: MeterId = MeterId {
    line: Uuid::from_u128(5),
    kind: MeterKind::Money,
};

/// Folds one answered request into the database.
async fn with_request(app: TestApp) -> (TestApp, RequestId) {
    let (request, at) = (RequestId::from_uuid(app.ids.next_uuid()), app.clock.now());
    let facts = HoldFacts {
        request,
        at,
        key: VirtualKeyId::from_uuid(app.ids.next_uuid()),
        user: None,
        copy: None,
        profile: None,
        profile_version: None,
        provider: "openai".parse().unwrap(),
        model: "gpt-5".to_owned(),
        endpoint: Endpoint::ChatCompletions,
        is_stream: true,
        is_bound: false,
        reserved_cost: Usd::ZERO,
        reserved_tokens: 0,
        shadow: Some(Shadow::of_limit(LINE, false)),
    };
    let ending = Ending {
        at,
        outcome: Outcome::Reported,
        status: 200,
        error_code: None,
        usage: TokenUsage {
            input: 3,
            output: 4,
            ..TokenUsage::default()
        },
        cost: Usd::from_nanos(1_500_000_001),
        duration_micros: 20_000,
        first_byte_micros: Some(5_000),
        attempts: 1,
    };
    let batch = FoldBatch {
        journal: app.ids.next_uuid(),
        from: JournalPosition::default(),
        to: JournalPosition {
            segment: 1,
            offset: 10,
        },
        last_instant: at,
        counters: Vec::new(),
        log: vec![LogEntry { facts, ending }],
        resolved: Vec::new(),
        corrections: Vec::new(),
        resets: Vec::new(),
        in_doubt: Vec::new(),
        opened: Vec::new(),
        closed: Vec::new(),
    };
    app.store.fold(&batch).await.unwrap();
    (app, request)
}

on_both_engines!(request_is_listed_read_and_summed_up);
async fn request_is_listed_read_and_summed_up(app: TestApp) {
    let (app, request) = with_request(app).await;
    let list = app
        .get(&format!("{LOGS}?provider=openai&outcome=reported"))
        .await
        .expect(200);
    assert_eq!(list.body["total_count"], 1);
    assert!(
        list.text.contains(r#""cost_usd":1.500000001"#),
        "{}",
        list.text
    );
    assert_eq!(list.body["logs"][0]["tokens"]["output"], 4);
    assert_eq!(
        list.body["logs"][0]["shadow"],
        json!({"code": "budget_exceeded", "limit_id": "bud_00000000000000000000000000000005"})
    );
    for (shadowed, count) in [("true", 1), ("false", 0)] {
        let path = format!("{LOGS}?shadowed={shadowed}");
        assert_eq!(app.get(&path).await.expect(200).body["total_count"], count);
    }
    let one = app.get(&format!("{LOGS}/{request}")).await.expect(200);
    assert_eq!(one.body["log"], list.body["logs"][0]);
    let none = app.get(&format!("{LOGS}?model=other")).await.expect(200);
    assert_eq!(
        (&none.body["total_count"], &none.body["logs"]),
        (&json!(0), &json!([]))
    );
    let stats = app
        .get(&format!("{LOGS}/stats?group_by=model"))
        .await
        .expect(200);
    assert_eq!(stats.body["total"]["requests"], 1);
    assert_eq!(stats.body["groups"][0]["key"], "gpt-5");
    assert!(stats.text.contains(r#""cost_usd":1.500000001"#));
    for query in [
        "from=yesterday",
        "user_id=x",
        "outcome=good",
        "shadowed=maybe",
        "provider=A%20B",
    ] {
        assert_eq!(
            app.get(&format!("{LOGS}?{query}")).await.error().0,
            400,
            "{query}"
        );
    }
    assert_eq!(
        app.get(&format!("{LOGS}/stats?group_by=colour"))
            .await
            .error()
            .0,
        400
    );
    assert_eq!(app.get(&format!("{LOGS}/req_1")).await.error().0, 404);
}

on_both_engines!(limit_on_a_model_comes_changes_and_goes);
async fn limit_on_a_model_comes_changes_and_goes(app: TestApp) {
    let user = app.add_user("ada").await;
    let body = json!({"model_name": "gpt-5", "scope": "user", "scope_id": user,
        "budgets": [{"max_limit": 4, "reset_duration": "1d"}]});
    let made = app.post(CONFIGS, &body.to_string()).await.expect(201);
    assert_eq!(
        made.body["model_config"]["budgets"][0]["resets_at"],
        "2026-11-12T12:30:00Z"
    );
    assert_eq!(
        app.post(CONFIGS, &body.to_string()).await.error(),
        (409, "place_taken", "/model_name")
    );
    let path = format!("{CONFIGS}/{}", made.text_at("/model_config/id"));
    let same = app
        .put(&path, &made.body["model_config"].to_string())
        .await
        .expect(200);
    assert_eq!(same.body, made.body);
    let changed = app
        .put(
            &path,
            r#"{"budgets": [{"max_limit": 5, "reset_duration": "1d"}]}"#,
        )
        .await
        .expect(200);
    assert_eq!(
        changed.body["model_config"]["budgets"][0]["id"],
        made.body["model_config"]["budgets"][0]["id"]
    );
    assert_eq!(
        app.get(CONFIGS).await.expect(200).body["model_configs"][0],
        changed.body["model_config"]
    );
    app.delete(&path).await.expect(200);
    assert_eq!(app.get(&path).await.error().0, 404);
}

on_both_engines!(bad_limits_on_models_are_refused);
async fn bad_limits_on_models_are_refused(app: TestApp) {
    let budgets = json!([{"max_limit": 4, "reset_duration": "1d"}]);
    for (body, code, place) in [
        (
            json!({"model_name": "regex:(", "budgets": budgets}),
            "invalid_value",
            "/model_name",
        ),
        (json!({"model_name": "*"}), "inconsistent", ""),
        (
            json!({"model_name": "*", "budgets": budgets, "scope": "planet"}),
            "invalid_value",
            "/scope",
        ),
        (
            json!({"model_name": "*", "budgets": budgets, "scope": "user"}),
            "inconsistent",
            "/scope_id",
        ),
        (
            json!({"model_name": "*", "budgets": budgets, "scope_id": "x"}),
            "inconsistent",
            "/scope_id",
        ),
        (
            json!({"model_name": "*", "budgets": budgets, "scope": "user",
                "scope_id": "user_00000000000000000000000000000fff"}),
            "unknown_reference",
            "/scope_id",
        ),
    ] {
        assert_eq!(
            app.post(CONFIGS, &body.to_string()).await.error(),
            (400, code, place),
            "{body}"
        );
    }
}
