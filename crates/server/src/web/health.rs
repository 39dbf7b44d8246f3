//! Health. None of these touches the database: a slow one must not make a supervisor kill the process that keeps the
//! journal.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tollgate_ledger::Ledger;

use crate::lifecycle::Lifecycle;
use crate::workers::FoldStatus;

/// What readiness is judged by.
pub(crate) struct Health {
    pub(crate) lifecycle: Lifecycle,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) fold: Arc<FoldStatus>,
}

impl Health {
    /// Why requests should go elsewhere; `None` = ready. A database that is down is no reason as long as the journal
    /// takes writes: requests are admitted and charged, and the database gets them later.
    fn reason(&self) -> Option<&'static str> {
        if !self.lifecycle.is_serving() {
            Some("starting or stopping")
        } else if !self.ledger.is_available() {
            Some("the journal takes no writes; the log says why")
        } else {
            None
        }
    }
}

pub(super) fn routes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/health", get(overview))
        .route("/health/ready", get(ready))
        .route("/health/live", get(async || Json(json!({"status": "ok"}))))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    match health.reason() {
        None => (StatusCode::OK, Json(json!({"status": "ready"}))),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"status": "not_ready", "reason": reason})),
        ),
    }
}

async fn overview(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    let (status, Json(mut body)) = ready(State(health.clone())).await;
    body["version"] = json!(env!("CARGO_PKG_VERSION"));
    body["journal"] = json!(if health.ledger.is_available() {
        "ok"
    } else {
        "unavailable"
    });
    // As the fold last saw it.
    body["database"] = json!(if health.fold.is_failing() {
        "unavailable"
    } else {
        "ok"
    });
    (status, Json(body))
}
