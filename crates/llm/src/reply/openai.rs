//! OpenAI's dialect of an error.

use serde_json::{Value, json};
use tollgate_domain::ErrorKind;

use super::ErrorReply;
use super::details::details;

pub(super) fn error(reply: &ErrorReply<'_>) -> Value {
    let mut error = json!({
        "message": reply.error.message,
        "type": error_type(reply.error.kind),
        "param": reply.error.param,
        "code": reply.error.kind.code(),
        "request_id": reply.request_id,
    });
    let details = details(reply.error);
    if !details.is_null() {
        error["details"] = details;
    }
    json!({ "error": error })
}

const fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UpstreamError | ErrorKind::UpstreamTimeout => "upstream_error",
        ErrorKind::BudgetExceeded => "insufficient_quota",
        ErrorKind::Overloaded | ErrorKind::ShuttingDown | ErrorKind::LedgerUnavailable => {
            "service_unavailable_error"
        }
        _ => match kind.status() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        },
    }
}
