//! The description of the API, generated from the operations themselves.

mod answers;
mod links;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use utoipa::PartialSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Deprecated, InfoBuilder, LicenseBuilder, OpenApi, PathItem, Tag};

use crate::problem::{ErrorBody, ErrorDetail, ErrorExtras, FieldProblem};
use crate::router;

/// The page that renders the description; everything it needs is in it.
const DOCS_PAGE: &str = include_str!("openapi/docs.html");

/// What the description says of the whole.
const DESCRIPTION: &str = "Who may use which model and tool, and for how much. Every operation under `/api` takes \
a management API key as `Authorization: Bearer tgm-…` and needs one permission, named at the operation. Amounts of \
money are JSON numbers, exact to nine decimals. Updates are partial: what is left out is kept.";

/// Keys belong to the user: this path is kept for clients of the market's contract.
const KEYS_OF_A_PROFILE: &str = "/access-profiles/{profile_id}/virtual-keys";

static DOCUMENT: LazyLock<String> = LazyLock::new(|| {
    let document = serde_json::to_string_pretty(&document());
    document.unwrap_or_default() + "\n"
});

/// The description as JSON text, as it is committed and served.
pub fn openapi_json() -> &'static str {
    &DOCUMENT
}

/// The description.
fn document() -> OpenApi {
    let mut document = router::documented().into_openapi();
    mark_short_paths(&mut document);
    links::add(&mut document);
    document.info = InfoBuilder::new()
        .title("Tollgate management API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    let components = document.components.get_or_insert_default();
    for (name, schema) in [
        ("ErrorBody", ErrorBody::schema()),
        ("ErrorDetail", ErrorDetail::schema()),
        ("ErrorExtras", ErrorExtras::schema()),
        ("FieldProblem", FieldProblem::schema()),
    ] {
        components.schemas.insert(name.to_owned(), schema);
    }
    components.add_security_scheme(
        "management_key",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A management API key, starting with `tgm-`."))
                .build(),
        ),
    );
    components.add_security_scheme(
        "virtual_key",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("A virtual key, starting with `sk-tg-`."))
                .build(),
        ),
    );
    answers::complete(&mut document);
    document.tags = Some(
        router::TAGS
            .iter()
            .map(|(name, text)| tag(name, text))
            .collect(),
    );
    document
}

/// The short paths are the same operations: deprecated, and with ids of their own.
fn mark_short_paths(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        if path.ends_with(KEYS_OF_A_PROFILE)
            && let Some(operation) = &mut item.post
        {
            operation.deprecated = Some(Deprecated::True);
        }
        if !path.starts_with("/api/access-profiles") && !path.starts_with("/api/users") {
            continue;
        }
        for operation in operations_mut(item) {
            operation.deprecated = Some(Deprecated::True);
            if let Some(id) = &mut operation.operation_id {
                id.push_str("_short");
            }
        }
    }
}

/// The operations of a path.
fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.post, &item.put, &item.patch, &item.delete]
        .into_iter()
        .flatten()
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.post,
        &mut item.put,
        &mut item.patch,
        &mut item.delete,
    ]
    .into_iter()
    .flatten()
}

fn tag(name: &str, description: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(description.to_owned());
    tag
}

/// Serves the description.
pub(crate) async fn get_openapi() -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], openapi_json()).into_response()
}

/// Serves the page for people.
pub(crate) async fn get_docs() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, DOCS_PAGE).into_response()
}
