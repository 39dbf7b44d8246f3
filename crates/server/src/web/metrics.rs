//! `/metrics`: Prometheus text, open to this host, behind a token for others.

use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus_client::registry::Registry;
use serde_json::json;

use crate::config::Secret;
use crate::listeners::ClientAddress;

/// The registry and who may read it.
pub(crate) struct MetricsPage {
    pub(crate) registry: Registry,
    pub(crate) token: Option<Secret>,
}

impl MetricsPage {
    pub(crate) fn routes(self) -> Router {
        Router::new()
            .route("/metrics", get(read))
            .with_state(Arc::new(self))
    }

    fn admits(&self, client: ClientAddress, headers: &HeaderMap) -> bool {
        if client.is_local() {
            return true;
        }
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        match (&self.token, given) {
            (Some(token), Some(given)) => {
                verify_slices_are_equal(token.expose().as_bytes(), given).is_ok()
            }
            _ => false,
        }
    }
}

async fn read(
    State(page): State<Arc<MetricsPage>>,
    Extension(client): Extension<ClientAddress>,
    headers: HeaderMap,
) -> Response {
    if !page.admits(client, &headers) {
        let body = json!({"error": {
            "type": "unauthorized",
            "code": "unauthorized",
            "message": "metrics are read on this host, or with `Authorization: Bearer <metrics.token of the configuration>`",
        }});
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, Json(body)).into_response();
    }
    let mut text = String::new();
    if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &page.registry) {
        tracing::error!(error = %error, "cannot write metrics");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(token: Option<&str>, ip: &str, given: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(given) = given {
            headers.insert(header::AUTHORIZATION, given.parse().unwrap());
        }
        let page = MetricsPage {
            registry: Registry::default(),
            token: token.map(Secret::new),
        };
        let client = ClientAddress {
            ip: ip.parse().unwrap(),
            is_direct: true,
        };
        page.admits(client, &headers)
    }

    #[test]
    fn only_this_host_reads_without_the_token() {
        assert!(admits(None, "127.0.0.1", None));
        assert!(!admits(None, "198.51.100.7", None));
        assert!(!admits(None, "198.51.100.7", Some("Bearer ")));
        assert!(admits(Some("abc"), "198.51.100.7", Some("Bearer abc")));
        assert!(!admits(Some("abc"), "198.51.100.7", Some("Bearer abd")));
    }
}
