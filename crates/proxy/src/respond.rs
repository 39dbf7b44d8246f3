//! The one place that turns an error into an answer, in the dialect of the route.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use tollgate_domain::GatewayError;
use tollgate_domain::error::Origin;
use tollgate_llm::reply::{Dialect, ErrorReply};

use crate::body::ProxyBody;
use crate::headers;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON answer with this status.
pub(crate) fn json(status: StatusCode, body: Bytes, request_id: &str) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    insert(response.headers_mut(), &headers::REQUEST_ID, request_id);
    response
}

/// The answer to a request that failed.
pub(crate) fn error(
    error: &GatewayError,
    dialect: Dialect,
    request_id: &str,
) -> Response<ProxyBody> {
    let reply = ErrorReply::new(error, request_id);
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, reply.to_body(dialect), request_id);
    let headers = response.headers_mut();
    let source = match error.kind.origin() {
        Origin::Upstream => "upstream",
        Origin::Client | Origin::Gateway => "gateway",
    };
    headers.insert(headers::ERROR_SOURCE, HeaderValue::from_static(source));
    if !error.should_retry() {
        headers.insert(headers::SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(seconds) = error.retry_after_seconds {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The answer to a method that the route does not take.
pub(crate) fn allow(
    mut response: Response<ProxyBody>,
    method: &http::Method,
) -> Response<ProxyBody> {
    insert(response.headers_mut(), &ALLOW, method.as_str());
    response
}

/// Sets a header, when the text can be one.
fn insert(headers: &mut HeaderMap, name: &http::HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
