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
