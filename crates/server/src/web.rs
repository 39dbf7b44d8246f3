//! Everything that is served beside the data plane and the management API: health, metrics, and a page that says what
//! this is.

mod door;
mod health;
mod metrics;

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;

pub(crate) use door::{Doors, RequestIds};
pub(crate) use health::Health;
pub(crate) use metrics::MetricsPage;

/// What `/` says.
const HOME: &str = include_str!("web/home.html");

/// What is open to everybody, on every listener.
pub(crate) fn open_pages(health: Arc<Health>) -> Router {
    Router::new()
        .route("/", get(home))
        .merge(health::routes(health))
}

/// The same for a listener without the management API.
pub(crate) fn data_plane_pages(health: Arc<Health>, openapi: &'static str) -> Router {
    let description = move || async move {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], openapi)
    };
    open_pages(health)
        .route("/openapi.json", get(description))
        .fallback(async || {
            let message = "no such path on this listener; the management API has its own";
            let body =
                json!({"error": {"type": "not_found", "code": "not_found", "message": message}});
            (StatusCode::NOT_FOUND, Json(body))
        })
}

/// A page that runs nothing and is framed by nobody.
async fn home() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, HOME).into_response()
}
