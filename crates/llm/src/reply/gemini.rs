//! Google's dialect of an error.

use serde_json::{Value, json};

use super::ErrorReply;
use super::details::details;

pub(super) fn error(reply: &ErrorReply<'_>) -> Value {
    let mut info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reply.error.kind.code().to_ascii_uppercase(),
        "domain": "tollgate",
        "metadata": { "request_id": reply.request_id },
    });
    if let Some(param) = &reply.error.param {
        info["metadata"]["param"] = param.as_str().into();
    }
    let mut all = vec![info];
    let mut limit = details(reply.error);
    if !limit.is_null() {
        limit["@type"] = "tollgate/limit".into();
        all.push(limit);
    }
    if let Some(seconds) = reply.error.retry_after_seconds {
        all.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{seconds}s"),
        }));
    }
    json!({
        "error": {
            "code": reply.status,
            "message": reply.error.message,
            "status": status_name(reply.status),
            "details": all,
        }
    })
}

const fn status_name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        402 => "FAILED_PRECONDITION",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        405 => "UNIMPLEMENTED",
        408 | 504 => "DEADLINE_EXCEEDED",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        502 | 503 => "UNAVAILABLE",
        400..=499 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    }
}
