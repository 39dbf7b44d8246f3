//! JSON-RPC's dialect of an error, for MCP.

use serde_json::{Value, json};

use super::ErrorReply;
use super::details::details;

/// The id of the call is not known here: an error that concerns the HTTP request as a whole answers with null, as the
/// specification says.
pub(super) fn error(reply: &ErrorReply<'_>) -> Value {
    let mut data = json!({
        "code": reply.error.kind.code(),
        "status": reply.status,
        "request_id": reply.request_id,
    });
    if let Some(param) = &reply.error.param {
        data["param"] = param.as_str().into();
    }
    let details = details(reply.error);
    if !details.is_null() {
        data["details"] = details;
    }
    json!({
        "jsonrpc": "2.0",
        "id": null,
        "error": {
            "code": code(reply.status),
            "message": reply.error.message,
            "data": data,
        },
    })
}

/// The specification's own numbers where they fit, else one from the range that it leaves to servers.
const fn code(status: u16) -> i64 {
    match status {
        400 => -32600,
        404 | 405 => -32601,
        401 | 403 => -32001,
        402 | 429 => -32002,
        500 => -32603,
        _ => -32000,
    }
}
