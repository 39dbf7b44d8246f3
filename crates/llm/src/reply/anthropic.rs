//! Anthropic's dialect of an error.

use serde_json::{Value, json};

use super::ErrorReply;
use super::details::details;

pub(super) fn error(reply: &ErrorReply<'_>) -> Value {
    let mut error = json!({
        "type": error_type(reply.status),
        "message": reply.error.message,
        "code": reply.error.kind.code(),
    });
    if let Some(param) = &reply.error.param {
        error["param"] = param.as_str().into();
    }
    let details = details(reply.error);
    if !details.is_null() {
        error["details"] = details;
    }
    json!({ "type": "error", "error": error, "request_id": reply.request_id })
}

const fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
