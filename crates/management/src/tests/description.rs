//! The description of the API is what is committed, and complete.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::test_app::{TestApp, on_both_engines};

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn document() -> Value {
    serde_json::from_str(crate::openapi_json()).unwrap()
}

/// Run with `UPDATE_OPENAPI=1` to write the file anew.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a switch for whoever runs the test"
)]
fn committed_description_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.json");
    if std::env::var("UPDATE_OPENAPI").is_ok() {
        std::fs::write(&path, crate::openapi_json()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == crate::openapi_json(),
        "openapi.json is not what the code describes; run `UPDATE_OPENAPI=1 cargo test -p tollgate-management description`"
    );
}

#[test]
fn operations_have_unique_ids_permissions_and_errors() {
    let document = document();
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let operation = &item[method];
            if operation.is_null() {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(seen.insert(id.clone()), "{id} stands twice");
            assert!(operation["summary"].is_string(), "{id} has no summary");
            assert!(operation["responses"]["401"].is_object(), "{id}");
            let key = &operation["security"][0]["management_key"];
            let is_own_door = operation["security"][0]["virtual_key"].is_array();
            assert!(
                is_own_door || key.as_array().unwrap().len() == 1,
                "{method} {path}"
            );
        }
    }
    assert!(!seen.is_empty());
}

/// What every list takes, and what it answers beside its entries.
const PARAMETERS: [&str; 3] = ["limit", "offset", "search"];
const FIELDS: [&str; 4] = ["count", "total_count", "limit", "offset"];

/// Walked by the id after which to go on, so that copies which come and go meanwhile are neither skipped nor shown twice.
const BY_CURSOR: &str = "list_access_profile_drift";

#[test]
fn every_list_is_answered_in_pages_and_can_be_searched() {
    let document = document();
    let mut lists = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = &item["get"];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let Some(answer) = schema["$ref"].as_str() else {
            continue;
        };
        let answer = document.pointer(answer.trim_start_matches('#')).unwrap();
        let Some(fields) = answer["properties"].as_object() else {
            continue;
        };
        // An answer is a list when its entries are all that it tells of.
        let mut others = fields
            .iter()
            .filter(|(name, _)| !FIELDS.contains(&name.as_str()));
        let is_entries =
            |other: Option<(&String, &Value)>| other.is_some_and(|(_, it)| it["type"] == "array");
        let is_list = is_entries(others.next()) && others.next().is_none();
        let id = operation["operationId"].as_str().unwrap();
        if !is_list && !id.starts_with("list_") || id.starts_with(BY_CURSOR) {
            continue;
        }
        lists += 1;
        let parameters = operation["parameters"].as_array();
        for name in PARAMETERS {
            let mut taken = parameters.into_iter().flatten();
            let is_taken = taken.any(|it| it["name"] == name && it["in"] == "query");
            assert!(is_taken, "GET {path} does not take `{name}`");
        }
        for name in FIELDS {
            assert!(
                fields.contains_key(name),
                "GET {path} does not answer `{name}`"
            );
        }
    }
    assert!(lists >= 30, "only {lists} lists were found");
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    let pointer = target.trim_start_matches('#');
                    assert!(document.pointer(pointer).is_some(), "{target}");
                }
                fields.values().for_each(|each| walk(each, document));
            }
            Value::Array(items) => items.iter().for_each(|each| walk(each, document)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

on_both_engines!(description_and_its_page_are_served_to_anybody);
async fn description_and_its_page_are_served_to_anybody(app: TestApp) {
    let open = |path: &str| {
        let request = http::Request::builder().uri(path);
        app.send(request.body(axum::body::Body::empty()).unwrap())
    };
    assert_eq!(
        open("/openapi.json").await.expect(200).body["openapi"],
        "3.1.0"
    );
    let page = open("/docs").await.expect(200);
    assert!(page.text.contains("<title>"));
    assert!(
        !page.text.contains("http://") && !page.text.contains("https://"),
        "no network assets"
    );
}
