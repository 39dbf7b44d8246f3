//! Phases "reply" and "settle" of everything that is not a stream, and the beginning of streams.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode, response};
use memchr::memmem;
use scopeguard::ScopeGuard;
use secrecy::ExposeSecret as _;
use tokio::time::Instant;
use tollgate_domain::accounting::Outcome;
use tollgate_domain::{ErrorKind, GatewayError, TokenUsage};
use tollgate_llm::reply::{Dialect, ErrorReply};

use crate::attempt;
use crate::body::ProxyBody;
use crate::describe::Description;
use crate::guard::Guard;
use crate::run::{Progress, Run};
use crate::stream::StreamReply;
use crate::upstream::UpstreamError;
use crate::{headers, respond, service, turn};

/// A success of the provider: the whole of it, or the beginning of a stream.
pub(crate) async fn answer(
    mut guard: Guard,
    head: response::Parts,
    deadline: Instant,
) -> Response<ProxyBody> {
    if matches!(guard.progress, Progress::Streaming(_)) {
        return stream(guard, &head);
    }
    guard.note_first_byte();
    let max = guard.shared().config.max_response_body;
    let collected = tokio::time::timeout_at(deadline, guard.collect(max))
        .await
        .unwrap_or(Err(UpstreamError::Timeout));
    match collected {
        Ok(body) => plain(guard, &head, body).await,
        Err(error) => failure(guard, error),
    }
}

fn stream(guard: Guard, head: &response::Parts) -> Response<ProxyBody> {
    let admission = &guard.admission;
    let mut headers = headers::to_client(head);
    headers::forbid_buffering(&mut headers);
    let mut description = Description::of(headers);
    description.request(admission);
    description.limits(&admission.numbers());
    let reply = StreamReply::new(guard, Dialect::OpenAi);
    let mut response = Response::new(ProxyBody::stream(reply));
    *response.status_mut() = head.status;
    *response.headers_mut() = description.into_headers();
    response
}

async fn plain(guard: Guard, head: &response::Parts, body: Bytes) -> Response<ProxyBody> {
    let run = ScopeGuard::into_inner(guard);
    let mut description = Description::of(headers::to_client(head));
    description.request(&run.admission);
    let (outcome, usage) = run.charge_plain(head.status, &body);
    let id = run.admission.request_id();
    let settled = run.settle(outcome, usage, head.status.as_u16(), None);
    if let Err(unavailable) = settled.written.await {
        // Without its charge on record the client must not have the answer.
        let error = GatewayError::new(
            ErrorKind::LedgerUnavailable,
            "the answer could not be metered; try again in a moment",
        )
        .with_retry_after(1)
        .with_source(unavailable);
        service::note(id, &error);
        return respond::error(&error, Dialect::OpenAi, &id.to_string());
    }
    description.set(&headers::COST, settled.cost);
    description.limits(&settled.numbers);
    let mut response = Response::new(ProxyBody::full(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = description.into_headers();
    turn::others_first().await;
    response
}

/// An error status of the provider: nothing is charged, and the client reads what the provider said.
pub(crate) fn upstream_error(
    guard: Guard,
    head: &response::Parts,
    body: Bytes,
) -> Response<ProxyBody> {
    let run = ScopeGuard::into_inner(guard);
    let id = run.admission.request_id().to_string();
    // A redirect would lead the client past us, and a credential with it; a switch to another protocol would break its
    // connection.
    let status = if head.status.is_client_error() || head.status.is_server_error() {
        head.status
    } else {
        StatusCode::BAD_GATEWAY
    };
    let passes = head.status == status && may_pass(&run, head, &body);
    let mut description = Description::of(headers::to_client(head));
    description.request(&run.admission);
    description.limits(&run.admission.numbers());
    let mut headers = description.into_headers();
    headers.insert(headers::ERROR_SOURCE, HeaderValue::from_static("upstream"));
    if !is_retryable(status) {
        headers.insert(headers::SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    let body = if passes {
        body
    } else {
        let provider = &run.admission.candidate().provider.name;
        let error = GatewayError::new(
            ErrorKind::UpstreamError,
            format!(
                "provider `{provider}` answered with status {}",
                head.status.as_u16()
            ),
        );
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        ErrorReply::new(&error, &id)
            .with_status(status.as_u16())
            .to_body(Dialect::OpenAi)
    };
    let code = ErrorKind::UpstreamError.code();
    run.settle(
        Outcome::Failed,
        TokenUsage::default(),
        status.as_u16(),
        Some(code),
    );
    let mut response = Response::new(ProxyBody::full(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Whether the client may read the provider's own words. Not about our credentials: some providers quote them.
fn may_pass(run: &Run, head: &response::Parts, body: &[u8]) -> bool {
    let is_about_us = matches!(head.status.as_u16(), 401 | 403);
    let quotes_secret = || {
        run.admission.candidate().keys.iter().any(|key| {
            let secret = key.secret.expose_secret();
            !secret.is_empty() && memmem::find(body, secret.as_bytes()).is_some()
        })
    };
    !is_about_us && !body.is_empty() && headers::is_json(&head.headers) && !quotes_secret()
}

fn is_retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 409 | 429) || status.is_server_error()
}

/// No answer, or only a part of a plain one.
pub(crate) fn failure(guard: Guard, error: UpstreamError) -> Response<ProxyBody> {
    let run = ScopeGuard::into_inner(guard);
    // What was sent may have been worked on; nobody will tell.
    let outcome = if error.is_unsent() {
        Outcome::Failed
    } else {
        Outcome::InDoubt
    };
    let error = attempt::failure(&run, error);
    end(run, outcome, &error)
}

/// The newest policy refuses a further attempt; the ones before cost nothing.
pub(crate) fn refusal(guard: Guard, error: &GatewayError) -> Response<ProxyBody> {
    end(ScopeGuard::into_inner(guard), Outcome::Failed, error)
}

fn end(run: Box<Run>, outcome: Outcome, error: &GatewayError) -> Response<ProxyBody> {
    let id = run.admission.request_id();
    service::note(id, error);
    let mut response = respond::error(error, Dialect::OpenAi, &id.to_string());
    let mut description = Description::of(std::mem::take(response.headers_mut()));
    description.route(&run.admission);
    *response.headers_mut() = description.into_headers();
    let kind = error.kind;
    run.settle(
        outcome,
        TokenUsage::default(),
        kind.status(),
        Some(kind.code()),
    );
    response
}
