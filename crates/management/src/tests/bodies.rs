//! What is wrong with a body is said at once, and odd bodies do no harm.

use http::Method;
use serde_json::{Value, json};

use crate::test_app::{ADMIN, TestAnswer, TestApp, on_both_engines};

const PROFILES: &str = "/api/governance/access-profiles";
const KEYS: &str = "/api/governance/virtual-keys";

/// The places of all problems, which must be a 400.
#[track_caller]
fn places(answer: TestAnswer) -> Vec<String> {
    let answer = answer.expect(400);
    let errors = answer.body["extra_fields"]["errors"].as_array().unwrap();
    for error in errors {
        assert!(!error["code"].as_str().unwrap().is_empty(), "{error}");
        assert!(!error["message"].as_str().unwrap().is_empty(), "{error}");
    }
    let mut places: Vec<String> = errors
        .iter()
        .map(|error| error["param"].as_str().unwrap().to_owned())
        .collect();
    places.sort();
    places
}

on_both_engines!(an_unusable_address_is_reported_with_everything_else);
async fn an_unusable_address_is_reported_with_everything_else(app: TestApp) {
    let body = json!({"name": "", "connection_type": "http", "connection_string": "http://169.254.169.254/?key=s3cret",
        "tools_to_execute": [7]});
    let refused = app.post("/api/mcp/client", &body.to_string()).await;
    assert!(!refused.text.contains("s3cret"), "{}", refused.text);
    assert_eq!(
        places(refused),
        ["/connection_string", "/name", "/tools_to_execute/0"]
    );
}

on_both_engines!(a_scope_without_its_id_is_reported_with_everything_else);
async fn a_scope_without_its_id_is_reported_with_everything_else(app: TestApp) {
    for (scope, id) in [
        ("user", json!(null)),
        ("global", json!("x")),
        ("virtual_key", json!("vk_1")),
    ] {
        let body = json!({"model_name": "", "scope": scope, "scope_id": id, "budgets": [{"max_limit": 1}]});
        let refused = app
            .post("/api/governance/model-configs", &body.to_string())
            .await;
        assert_eq!(
            places(refused),
            ["/budgets/0/reset_duration", "/model_name", "/scope_id"],
            "{scope}"
        );
    }
}

on_both_engines!(what_other_fields_need_is_reported_with_everything_else);
async fn what_other_fields_need_is_reported_with_everything_else(app: TestApp) {
    let client = async |body: Value| places(app.post("/api/mcp/client", &body.to_string()).await);
    let program = json!({"name": "", "connection_type": "stdio", "connection_string": "********", "headers": {"a/b": "********"}});
    assert_eq!(
        client(program).await,
        [
            "/connection_string",
            "/connection_string",
            "/headers/a~1b",
            "/name",
            "/stdio_config"
        ]
    );
    let server = json!({"name": "", "connection_type": "sse", "stdio_config": {"command": "x", "envs": {"K": "********"}}});
    assert_eq!(
        client(server).await,
        [
            "/connection_string",
            "/name",
            "/stdio_config",
            "/stdio_config/envs/K"
        ]
    );

    let provider = async |body: Value| places(app.post("/api/providers", &body.to_string()).await);
    let nowhere = json!({"provider": "mine", "network_config": {"max_retries": 11, "extra_headers": {"x-a": "********"}}});
    assert_eq!(
        provider(nowhere).await,
        ["/network_config/base_url", "/network_config/max_retries"]
    );
    let masked = json!({"provider": "mine", "network_config": {"extra_headers": {"x-a": "********"}}, "x": 1});
    assert_eq!(
        provider(masked).await,
        [
            "/network_config/base_url",
            "/network_config/extra_headers/x-a",
            "/x"
        ]
    );
    let sandbox =
        json!({"provider": "sandbox", "network_config": {"base_url": "https://x.example"}, "x": 1});
    assert_eq!(provider(sandbox).await, ["/network_config/base_url", "/x"]);
    // What it speaks is not known, so neither is whether it needs an address.
    let unknown =
        json!({"provider": "mine", "custom_provider_config": {"base_provider_type": "cobol"}});
    assert_eq!(
        provider(unknown).await,
        ["/custom_provider_config/base_provider_type"]
    );

    let mine = r#"{"provider": "mine", "network_config": {"base_url": "https://llm.example"}}"#;
    app.post("/api/providers", mine).await.expect(201);
    let key = async |body: Value| {
        let path = "/api/providers/mine/keys";
        places(app.post(path, &body.to_string()).await)
    };
    for value in ["env.PATH", "env.TOLLGATE_API_KEY", "env.", "********"] {
        let body = json!({"name": "", "value": value, "weight": -1});
        assert_eq!(key(body).await, ["/name", "/value", "/weight"], "{value}");
    }
}

on_both_engines!(what_stands_above_a_group_is_reported_with_everything_else);
async fn what_stands_above_a_group_is_reported_with_everything_else(app: TestApp) {
    let made = app
        .post("/api/governance/customers", r#"{"name": "C"}"#)
        .await;
    let customer = made.expect(201).text_at("/customer/id");
    let unit = "bu_000000000000000000000000000000ff";
    let body = json!({"name": "", "customer_id": customer, "business_unit_id": unit}).to_string();
    for path in [
        "/api/governance/customers",
        "/api/governance/business-units",
    ] {
        let answer = app.post(path, &body).await;
        let expected = [
            "/business_unit_id",
            "/business_unit_id",
            "/customer_id",
            "/name",
        ];
        assert_eq!(places(answer), expected, "{path}");
    }
    let path = format!("/api/governance/customers/{customer}");
    let edit = json!({"tags": [], "customer_id": customer}).to_string();
    let answer = app.put(&path, &edit).await;
    assert_eq!(places(answer), ["/customer_id", "/tags"]);
    app.put(&path, r#"{"customer_id": null}"#).await.expect(200);
    let answer = app.post("/api/governance/teams", &body).await;
    assert_eq!(places(answer), ["/business_unit_id", "/name"]);
}

on_both_engines!(whom_a_body_names_is_reported_with_everything_else);
async fn whom_a_body_names_is_reported_with_everything_else(app: TestApp) {
    let user = "user_000000000000000000000000000000ff";
    let key = "vk_000000000000000000000000000000ff";
    let team = "team_000000000000000000000000000000ff";
    let body = json!({"name": "", "user_id": user, "team_id": team}).to_string();
    assert_eq!(
        places(app.post(KEYS, &body).await),
        ["/name", "/team_id", "/user_id", "/user_id"]
    );
    for (scope, id) in [("user", user), ("virtual_key", key)] {
        let body = json!({"model_name": "", "scope": scope, "scope_id": id,
            "budgets": [{"max_limit": 1, "reset_duration": "1d"}]});
        let path = "/api/governance/model-configs";
        let answer = app.post(path, &body.to_string()).await;
        assert_eq!(places(answer), ["/model_name", "/scope_id"]);
    }
    let id = app.add_profile(r#"{"name": "P"}"#).await;
    let body = json!({"draft": {"name": ""}, "from": "2026-11-02T00:00:00Z", "to": "2026-11-01T00:00:00Z"});
    let path = format!("{PROFILES}/{id}/simulate");
    let answer = app.post(&path, &body.to_string()).await;
    assert_eq!(places(answer), ["/draft/name", "/to"]);
}

on_both_engines!(every_kind_of_problem_is_reported_together);
async fn every_kind_of_problem_is_reported_together(app: TestApp) {
    let id = app.add_profile(r#"{"name": "P"}"#).await;
    let client = "mcp_000000000000000000000000000000ff";
    let body = json!({
        "name": "",
        "nam": "x",
        "tags": ["a,b", 7],
        "shadow": "yes",
        "alert_thresholds": [0, 50],
        "budgets": [
            {"max_limit": 1, "reset_duration": "1M", "id": "same"},
            {"max_limit": 1, "reset_duration": "1d", "id": "same", "reset_config": {"quarter_start_month": 4}},
            {"max_limit": "1"},
            {"max_limit": -1, "reset_duration": "1m"},
        ],
        "rate_limit": {"token_max_limit": "many", "request_reset_duration": "1h"},
        "provider_configs": [
            {"provider_name": "a", "allowed_models": ["x", "regex:("], "weight": -1},
            {"provider_name": "b", "rate_limit": {}, "allowed_models": ["*", "x"]},
            {"provider_name": "b", "model_budgets": [{"model": ""}]},
        ],
        "mcp_tool_groups": [{"tool_group_id": 99}],
        "mcp_servers": [{"mcp_server_id": client}, {}],
        "mcp_tool_overrides": [{"mcp_client_id": client, "tool_name": " ", "action": "maybe"}],
    });
    let expected = [
        "/alert_thresholds/0",
        "/budgets/1/id",
        "/budgets/1/reset_config",
        "/budgets/2/max_limit",
        "/budgets/2/reset_duration",
        "/budgets/3/max_limit",
        "/budgets/3/reset_duration",
        "/mcp_servers/0/mcp_server_id",
        "/mcp_servers/1/mcp_server_id",
        "/mcp_tool_groups/0/tool_group_id",
        "/mcp_tool_overrides/0/action",
        "/mcp_tool_overrides/0/mcp_client_id",
        "/mcp_tool_overrides/0/tool_name",
        "/nam",
        "/name",
        "/provider_configs/0/allowed_models/1",
        "/provider_configs/0/weight",
        "/provider_configs/1/allowed_models/0",
        "/provider_configs/1/rate_limit",
        "/provider_configs/2/model_budgets/0/budgets",
        "/provider_configs/2/model_budgets/0/model",
        "/rate_limit/request_max_limit",
        "/rate_limit/token_max_limit",
        "/rate_limit/token_reset_duration",
        "/shadow",
        "/tags/0",
        "/tags/1",
    ];
    let path = format!("{PROFILES}/{id}");
    let text = body.to_string();
    assert_eq!(places(app.put(&path, &text).await), expected);
    assert_eq!(places(app.post(PROFILES, &text).await), expected);
    let missing = app.put(&path, r#"{"nam": 1, "tags": null}"#).await;
    assert_eq!(places(missing), ["/nam", "/tags"]);
}

on_both_engines!(other_resources_report_together_too);
async fn other_resources_report_together_too(app: TestApp) {
    let team = "team_000000000000000000000000000000ff";
    for (path, body, expected) in [
        (
            KEYS,
            json!({"name": 1, "team_id": team, "customer_id": "x", "mcp_configs": [{"mcp_client_name": "nobody"}],
                "provider_configs": [{"provider": "a"}, {"provider": "a", "weight": "x"}, {"provider": "a"}]}),
            vec![
                "/customer_id",
                "/customer_id",
                "/mcp_configs/0/mcp_client_name",
                "/name",
                "/provider_configs/1/weight",
                "/provider_configs/2/provider",
                "/team_id",
            ],
        ),
        (
            "/api/governance/teams",
            json!({"name": "", "customer_id": "cust_000000000000000000000000000000ff", "budgets": {}}),
            vec!["/budgets", "/customer_id", "/name"],
        ),
        (
            "/api/governance/users",
            json!({"name": "", "email": "x", "role_id": 999}),
            vec!["/email", "/name", "/role_id"],
        ),
        (
            "/api/governance/model-configs",
            json!({"model_name": "regex:(", "budgets": [], "colour": 1}),
            vec!["", "/colour", "/model_name"],
        ),
        (
            "/api/providers",
            json!({"provider": "NOT A NAME", "network_config": {"base_url": "ftp://x", "max_retries": 11,
                "default_request_timeout_in_seconds": 0, "extra_headers": {"Host": "x", "a b": "c"}, "ca_cert_pem": "x"}}),
            vec![
                "/network_config/base_url",
                "/network_config/ca_cert_pem",
                "/network_config/default_request_timeout_in_seconds",
                "/network_config/extra_headers/Host",
                "/network_config/extra_headers/a b",
                "/network_config/max_retries",
                "/provider",
            ],
        ),
        (
            "/api/mcp/tool-groups",
            json!({"name": "", "tools": [{"mcp_client_id": "mcp_000000000000000000000000000000ff", "tool_names": [1]}]}),
            vec!["/name", "/tools/0/mcp_client_id", "/tools/0/tool_names/0"],
        ),
        (
            "/api/api-keys",
            json!({"name": "", "scopes": [11, 999], "expires_at": "soon"}),
            vec!["/expires_at", "/name", "/scopes/1"],
        ),
    ] {
        assert_eq!(
            places(app.post(path, &body.to_string()).await),
            expected,
            "{path}"
        );
    }
}

on_both_engines!(name_that_stands_twice_is_refused_wherever_it_does);
async fn name_that_stands_twice_is_refused_wherever_it_does(app: TestApp) {
    for (body, place) in [
        (r#"{"name": "a", "name": "b"}"#, "/name"),
        (r#"{"name": "a", "n\u0061me": "b"}"#, "/name"),
        (
            r#"{"name": "a", "budgets": [{"max_limit": 1, "max_limit": 2, "reset_duration": "1d"}]}"#,
            "/budgets/0/max_limit",
        ),
        (r#"{"name": "a", "id": 1, "id": 2}"#, "/id"),
        (r#"{"name": "a", "colour": 1, "colour": 2}"#, "/colour"),
    ] {
        let found = places(app.post(PROFILES, body).await);
        assert!(found.contains(&place.to_owned()), "{body}: {found:?}");
    }
    let headers = r#"{"provider": "p", "network_config": {"base_url": "https://x.example",
        "extra_headers": {"x-a": "1", "x-a": "2", "X-A": "3"}}}"#;
    let found = places(app.post("/api/providers", headers).await);
    assert_eq!(found, ["/network_config/extra_headers/x-a"]);
    assert_eq!(app.get(PROFILES).await.body["total_count"], 0);
}

on_both_engines!(numbers_beyond_all_bounds_are_refused_or_exact);
async fn numbers_beyond_all_bounds_are_refused_or_exact(app: TestApp) {
    let nines = "9".repeat(100_000);
    for number in [
        "1e400",
        "-1e400",
        "1e-400",
        "1e999999999999",
        "1e-999999999999",
        "9223372037",
        "0.0000000001",
        "18446744073709551616",
        nines.as_str(),
    ] {
        let limit = format!(
            r#"{{"name": "a", "budgets": [{{"max_limit": {number}, "reset_duration": "1d"}}]}}"#
        );
        let found = places(app.post(PROFILES, &limit).await);
        assert_eq!(found, ["/budgets/0/max_limit"], "{number:.40}");
    }
    for number in ["1e3", "1.0", "100e-2"] {
        let body = format!(
            r#"{{"name": "n{number}", "rate_limit": {{"request_max_limit": {number}, "request_reset_duration": "1d"}}}}"#
        );
        app.post(PROFILES, &body).await.expect(201);
    }
    for number in ["NaN", "Infinity", "01", "+1", ".5", "1.", "0x1"] {
        let body = format!(r#"{{"name": "a", "alert_thresholds": [{number}]}}"#);
        let answer = app.post(PROFILES, &body).await;
        assert_eq!(answer.error(), (400, "malformed_json", ""), "{number}");
    }
}

on_both_engines!(deep_nesting_is_refused);
async fn deep_nesting_is_refused(app: TestApp) {
    for depth in [200, 100_000] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let inside = format!(r#"{{"name": "a", "tags": {deep}}}"#);
            for body in [deep, inside] {
                app.post(PROFILES, &body).await.expect(400);
            }
        }
    }
}

on_both_engines!(texts_are_kept_as_they_are_or_refused);
async fn texts_are_kept_as_they_are_or_refused(app: TestApp) {
    for text in [
        "a\u{301}bc",
        "ÅÄÖ ß ẞ ﬁ",
        "İstanbul ıI",
        "👩‍👩‍👧‍👦🏳️‍🌈",
        "\u{202e}evil\u{202c}",
        "\u{feff}zero\u{200b}width",
        "'; drop table users; --",
        "100%_\\%",
        "\u{10ffff}",
        "<script>&amp;\"",
    ] {
        let body = json!({"name": text, "tags": [text], "description": format!("{text}\n\t")});
        let made = app.post(PROFILES, &body.to_string()).await.expect(201);
        let profile = &made.body["access_profile"];
        assert_eq!(profile["name"], text);
        let path = format!("{PROFILES}/{}", profile["id"]);
        let read = app.get(&path).await.expect(200);
        assert_eq!(&read.body["access_profile"], profile);
        for parameter in ["search", "tags"] {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair(parameter, text);
            let path = format!("{PROFILES}?{}", query.finish());
            let found = app.get(&path).await.expect(200);
            let names = found.body["access_profiles"].as_array().unwrap();
            let is_it = |one: &&Value| one["name"] == text;
            assert_eq!(names.iter().filter(is_it).count(), 1, "{parameter} {text}");
        }
        app.delete(&path).await.expect(200);
    }
    for text in [r"a\u0000b", r"\ud800", r"\udc00\ud800", r"a\u0007"] {
        for body in [
            format!(r#"{{"name": "{text}"}}"#),
            format!(r#"{{"name": "a", "tags": ["{text}"]}}"#),
        ] {
            app.post(PROFILES, &body).await.expect(400);
        }
    }
    let nul = app
        .post(PROFILES, r#"{"name": "a", "description": "\u0000"}"#)
        .await;
    assert_eq!(places(nul), ["/description"]);
}

on_both_engines!(searches_for_what_cannot_be_stored_find_nothing);
async fn searches_for_what_cannot_be_stored_find_nothing(app: TestApp) {
    app.add_profile(r#"{"name": "a", "tags": ["a"]}"#).await;
    app.add_user("ada").await;
    for path in [
        "/api/governance/access-profiles?search=%00",
        "/api/governance/access-profiles?tags=%00",
        "/api/governance/access-profiles?tags=a%00",
        "/api/governance/users?search=a%00",
        "/api/governance/virtual-keys?search=%00",
        "/api/governance/teams?search=%00",
        "/api/governance/model-configs?search=%00",
        "/api/governance/audit-logs?search=%00",
        "/api/governance/access-profiles/audit-logs?search=%00",
        "/api/governance/in-doubt?search=%00",
        "/api/governance/rbac/permissions?search=%00",
        "/api/api-keys?search=%00",
        "/api/logs?search=%00",
        "/api/webhooks?search=%00",
        "/api/providers?search=%00",
        "/api/models?search=%00&provider=%00",
        "/api/pricing?search=%00&provider=%00",
        "/api/mcp/clients?search=%00",
        "/api/mcp/tool-groups?search=%00",
        "/api/logs?model=%00",
        "/api/logs/stats?model=%00&group_by=model",
        "/api/governance/audit-logs?action=%00&target_kind=%00&target_id=%00",
        "/api/governance/access-profiles/audit-logs?action=%00",
    ] {
        let found = app.get(path).await.expect(200);
        assert_eq!(
            found.body.get("total_count").unwrap_or(&json!(0)),
            0,
            "{path}"
        );
    }
    for path in [
        "/api/governance/users/%00",
        "/api/governance/access-profiles/%00",
        "/api/providers/%00",
        "/api/logs/%00",
    ] {
        assert_eq!(app.get(path).await.error().0, 404, "{path}");
    }
    let price = r#"{"input_usd_per_million": 1, "output_usd_per_million": 1}"#;
    let stored = app.put("/api/pricing/openai/a%00b", price).await;
    assert!(stored.status.is_client_error(), "{}", stored.text);
    for method in [Method::GET, Method::DELETE] {
        let path = "/api/pricing/openai/a%00b";
        let answer = app.call_as(ADMIN, method, path, None).await;
        assert!(answer.status.is_client_error(), "{}", answer.text);
    }
}
