//! A field that was renamed, or misspelt, is never passed over: a budget would go with it.

use http::Method;
use serde_json::Value;

use crate::test_app::{ADMIN, TestApp, on_both_engines};

/// A path with ids in it that could be somebody's.
fn with_ids(path: &str) -> String {
    let mut family = "";
    let parts = path.split('/').map(|part| {
        let id = match part {
            "{user_id}" => "user_00000000000000000000000000000001",
            "{vk_id}" => "vk_00000000000000000000000000000001",
            "{budget_id}" => "bud_00000000000000000000000000000001",
            "{key_id}" => "pk_00000000000000000000000000000001",
            "{api_key_id}" => "mk_00000000000000000000000000000001",
            "{mcp_client_id}" => "mcp_00000000000000000000000000000001",
            "{id}" | "{webhook_id}" | "{model_config_id}" | "{request_id}" => match family {
                "teams" => "team_00000000000000000000000000000001",
                "customers" => "cust_00000000000000000000000000000001",
                "business-units" => "bu_00000000000000000000000000000001",
                "model-configs" => "mc_00000000000000000000000000000001",
                "in-doubt" => "req_00000000000000000000000000000001",
                "budgets" => "bud_00000000000000000000000000000001",
                _ => "wh_00000000000000000000000000000001",
            },
            _ if part.starts_with('{') => "1",
            _ => {
                family = part;
                part
            }
        };
        id.to_owned()
    });
    parts.collect::<Vec<_>>().join("/")
}

on_both_engines!(no_operation_passes_over_a_field_that_it_does_not_know);
async fn no_operation_passes_over_a_field_that_it_does_not_know(app: TestApp) {
    let document: Value = serde_json::from_str(crate::openapi_json()).unwrap();
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["requestBody"].is_null() || operation["security"].is_null() {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let body = Some(r#"{"money": 1}"#);
            let refused = app
                .call_as(ADMIN, method.clone(), &with_ids(path), body)
                .await;
            let errors = refused.body["extra_fields"]["errors"].as_array();
            let told = errors.is_some_and(|errors| {
                errors
                    .iter()
                    .any(|one| one["code"] == "unknown_field" && one["param"] == "/money")
            });
            assert!(told, "{method} {path}: {}", refused.text);
            asked += 1;
        }
    }
    assert!(asked > 50, "{asked}");
}
