//! The outermost layer: every answer gets its request id, and every error its one body.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use tollgate_domain::ids::EventId;

use crate::problem::Problem;
use crate::state::ManagementState;

/// The header that names a request to the caller.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Since when the paths that were replaced are deprecated: 1 November 2026, as RFC 9745 writes an instant.
const DEPRECATED_SINCE: HeaderValue = HeaderValue::from_static("@1793491200");

/// Gives the answer its request id and writes errors, whoever made them: a handler, the router or a library.
pub(crate) async fn finish(
    State(state): State<ManagementState>,
    request: Request,
    next: Next,
) -> Response {
    let event = EventId::from_uuid(state.ids().next_uuid()).to_string();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let mut response = next.run(request).await;
    if let Some(problem) = find_problem(&mut response, &method, &uri) {
        response = write_problem(&response, &problem, &event);
    }
    if let Ok(value) = HeaderValue::from_str(&event) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The error that a response is, if it is one.
fn find_problem(response: &mut Response, method: &Method, uri: &Uri) -> Option<Problem> {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        return Some(problem);
    }
    let path: String = uri.path().chars().take(200).collect();
    match response.status() {
        StatusCode::NOT_FOUND => Some(no_such_path(&path)),
        StatusCode::METHOD_NOT_ALLOWED => Some(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            format!("`{method}` is not possible on `{path}`; the header `allow` names what is"),
        )),
        status if status.is_server_error() => Some(Problem::internal(&status)),
        status if status.is_client_error() => Some(Problem::new(
            status,
            "invalid_request",
            "the request could not be read",
        )),
        _ => None,
    }
}

fn no_such_path(path: &str) -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not_found",
        format!("no operation is at `{path}`; `/openapi.json` lists all of them"),
    )
}

/// Keeps the headers (`allow`, `retry-after`) and replaces the body.
fn write_problem(response: &Response, problem: &Problem, event: &str) -> Response {
    if problem.status.is_server_error() {
        tracing::warn!(
            event,
            status = problem.status.as_u16(),
            "a management request failed"
        );
    }
    let mut written = (problem.status, axum::Json(problem.body(event))).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            written.headers_mut().append(name, value.clone());
        }
    }
    written
}

/// A path that the router does not know.
pub(crate) async fn unknown_path(uri: Uri) -> Problem {
    no_such_path(&uri.path().chars().take(200).collect::<String>())
}

/// Marks the short paths, and names the one that replaces them. Below `/api`, which the router has taken off the path.
pub(crate) async fn deprecated(request: Request, next: Next) -> Response {
    let successor = request.uri().path().to_owned();
    mark_deprecated(next.run(request).await, &successor)
}

/// Marks the path of a user's keys that names one profile, and names the one that replaces it: keys belong to the user.
pub(crate) async fn superseded(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    // `/users/{user_id}/access-profiles/…`, as the route that was matched says.
    let user = path.split('/').nth(2).unwrap_or_default();
    let successor = format!("/users/{user}/virtual-keys");
    mark_deprecated(next.run(request).await, &successor)
}

/// `successor` stands below `/api/governance`.
fn mark_deprecated(mut response: Response, successor: &str) -> Response {
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static("deprecation"), DEPRECATED_SINCE);
    let link = format!("</api/governance{successor}>; rel=\"successor-version\"");
    if let Ok(link) = HeaderValue::from_str(&link) {
        headers.insert(header::LINK, link);
    }
    response
}
