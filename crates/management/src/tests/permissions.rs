//! Which role may do what: the whole table, as a text that is reviewed.

use std::fmt::Write as _;

use http::Method;
use serde_json::Value;
use tollgate_domain::permission::SystemRole;

use crate::test_app::{TestApp, on_both_engines};

/// Every operation of the description: method, path, and the permission that it says it needs.
pub(super) fn operations() -> Vec<(Method, String, Option<String>)> {
    operations_of(&serde_json::from_str(crate::openapi_json()).unwrap())
}

fn operations_of(document: &Value) -> Vec<(Method, String, Option<String>)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let operation = &item[method.as_str().to_lowercase()];
            if operation.is_null() {
                continue;
            }
            let scope = operation["security"][0]["management_key"][0].as_str();
            found.push((method, path.clone(), scope.map(str::to_owned)));
        }
    }
    found
}

/// The path with something in the place of its parameters.
pub(super) fn filled(path: &str) -> String {
    let parts = path
        .split('/')
        .map(|part| if part.starts_with('{') { "1" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Operations that the tests of permissions do not see, because they name none.
fn without_permission(document: &Value) -> Vec<String> {
    let operations = operations_of(document).into_iter();
    operations
        .filter(|(_, _, scope)| scope.is_none())
        .map(|(method, path, _)| format!("{method} {path}"))
        .collect()
}

#[test]
fn only_the_holders_own_door_needs_no_permission() {
    let mut document: Value = serde_json::from_str(crate::openapi_json()).unwrap();
    let own = [
        "POST /api/governance/virtual-keys/collect",
        "GET /api/governance/virtual-keys/quota",
    ];
    assert_eq!(without_permission(&document), own);
    // The check can fail: an operation that says nothing of its permission is found.
    document["paths"]["/api/providers"]["post"]["security"] = Value::Null;
    let found = without_permission(&document);
    assert_eq!(found, [own[0], own[1], "POST /api/providers"]);
}

on_both_engines!(every_operation_asks_for_the_permission_that_it_names);
async fn every_operation_asks_for_the_permission_that_it_names(app: TestApp) {
    app.add_management_key("tgm-nothing", Some(Vec::new()))
        .await;
    for (method, path, scope) in operations() {
        let Some(scope) = scope else { continue };
        let refused = app
            .call_as("tgm-nothing", method.clone(), &filled(&path), Some("{}"))
            .await;
        assert_eq!(refused.error().0, 403, "{method} {path}");
        let message = refused.text_at("/error/message");
        assert!(
            message.contains(&format!("`{scope}`")),
            "{method} {path}: {message}"
        );
        let nobody = app
            .call_as("tgm-unknown", method.clone(), &filled(&path), Some("{}"))
            .await;
        assert_eq!(nobody.error().0, 401, "{method} {path}");
    }
}

on_both_engines!(roles_may_do_what_the_table_says);
async fn roles_may_do_what_the_table_says(app: TestApp) {
    for role in SystemRole::ALL {
        let permissions = role
            .permissions()
            .into_iter()
            .map(tollgate_domain::permission::Permission::id);
        app.add_management_key(&format!("tgm-{}", role.name()), Some(permissions.collect()))
            .await;
    }
    let mut table = String::new();
    for (method, path, scope) in operations() {
        let Some(scope) = scope else { continue };
        write!(table, "{:<7}{path:<95}{scope:<24}", method.as_str()).unwrap();
        for role in SystemRole::ALL {
            let key = format!("tgm-{}", role.name());
            // A body that no operation takes: what may pass is refused for its body, or finds nothing.
            let answer = app
                .call_as(&key, method.clone(), &filled(&path), Some("[]"))
                .await;
            let mark = if answer.status == 403 {
                "-"
            } else {
                role.name()
            };
            write!(table, "{mark:<11}").unwrap();
        }
        table.truncate(table.trim_end().len());
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}
