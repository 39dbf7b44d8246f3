//! The one error of the management API, and the one body that it is written as.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tollgate_domain::live::AdjustError;
use tollgate_storage::StorageError;
use utoipa::ToSchema;

/// The code of values that do not fit together.
pub(crate) const INCONSISTENT: &str = "inconsistent";
/// The code of ids and names that nothing has.
pub(crate) const UNKNOWN_REFERENCE: &str = "unknown_reference";
/// The code of addresses that Tollgate does not connect to.
pub(crate) const UNUSABLE_ADDRESS: &str = "unusable_address";
/// The code of amounts that are finer than what is kept.
pub(crate) const TOO_PRECISE: &str = "too_precise";

/// What is wrong with one place of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// A JSON pointer into the request; empty means the whole of it.
    pub param: String,
    /// Stable and machine-readable.
    pub code: String,
    /// For people: what is wrong and what to do.
    pub message: String,
}

/// Why an operation was refused or failed.
///
/// Travels as an extension of an otherwise empty response until [`crate::edge`] writes it, because only there is the id
/// of the event known.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    pub(crate) errors: Vec<FieldProblem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// The result of a handler.
pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            param: None,
            errors: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// 400: one bad value, at a JSON pointer.
    pub(crate) fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.into()),
            ..Self::new(StatusCode::BAD_REQUEST, "invalid_value", message)
        }
    }

    /// 400: a well-formed id or name that nothing has, at a JSON pointer.
    pub(crate) fn unknown_reference(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: UNKNOWN_REFERENCE,
            ..Self::invalid(param, message)
        }
    }

    /// 400: values that do not fit together, at a JSON pointer.
    pub(crate) fn inconsistent(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: INCONSISTENT,
            ..Self::invalid(param, message)
        }
    }

    /// 400: everything that is wrong with a body. The first problem speaks for all.
    pub(crate) fn invalid_body(errors: Vec<FieldProblem>) -> Self {
        let first = errors.first().cloned();
        let (param, message) = first.map_or((None, "the body is invalid".to_owned()), |first| {
            (Some(first.param), first.message)
        });
        let code = match errors.first().map(|first| first.code.as_str()) {
            Some("unknown_field") => "unknown_field",
            Some("required") => "required",
            Some("wrong_type") => "wrong_type",
            Some("too_many") => "too_many",
            Some("malformed_json") => "malformed_json",
            Some(INCONSISTENT) => INCONSISTENT,
            Some(UNKNOWN_REFERENCE) => UNKNOWN_REFERENCE,
            Some(TOO_PRECISE) => TOO_PRECISE,
            Some(UNUSABLE_ADDRESS) => UNUSABLE_ADDRESS,
            _ => "invalid_value",
        };
        Self {
            param,
            errors,
            ..Self::new(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// 401, naming what this door accepts.
    pub(crate) fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "authentication_required", message).with_header(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Bearer realm=\"tollgate management API\""),
        )
    }

    /// 404: `thing` is what was looked for, such as "access profile"; `id` is what the caller wrote.
    pub(crate) fn not_found(thing: &str, id: impl std::fmt::Display) -> Self {
        let id: String = id.to_string().chars().take(80).collect();
        Self::new(
            StatusCode::NOT_FOUND,
            "not_found",
            format!("no {thing} `{id}` exists"),
        )
    }

    /// 409.
    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 412: somebody else changed it meanwhile.
    pub(crate) fn stale(current: i64) -> Self {
        Self::new(
            StatusCode::PRECONDITION_FAILED,
            "stale_version",
            format!(
                "`If-Match` does not name the current version `{current}`; read it again and repeat the change"
            ),
        )
    }

    /// 500. The cause is logged here and never sent.
    pub(crate) fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(cause = %cause, "a management operation failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal_error",
            "an internal error occurred; quote the event id when you report it",
        )
    }

    /// 503.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    #[must_use]
    pub(crate) fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The broad class that goes into `type`.
    const fn kind(&self) -> &'static str {
        match self.status.as_u16() {
            401 => "authentication_error",
            403 => "permission_denied",
            404 => "not_found",
            409 => "conflict",
            412 => "precondition_failed",
            429 => "rate_limited",
            500..=599 => "internal_error",
            _ => "invalid_request",
        }
    }

    /// The body, as the contract has it.
    pub(crate) fn body(&self, event_id: &str) -> ErrorBody {
        ErrorBody {
            event_id: event_id.to_owned(),
            kind: self.kind().to_owned(),
            is_bifrost_error: true,
            status_code: self.status.as_u16(),
            error: ErrorDetail {
                kind: self.kind().to_owned(),
                code: self.code.to_owned(),
                message: self.message.clone(),
                param: self.param.clone(),
                event_id: event_id.to_owned(),
            },
            extra_fields: ErrorExtras {
                errors: self.errors.clone(),
            },
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        let mut response = self.status.into_response();
        response
            .headers_mut()
            .extend(std::mem::take(&mut self.headers));
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Conflict(constraint) => Self::conflict(
                "conflict",
                format!("another entry has the same value (`{constraint}`); choose another"),
            ),
            StorageError::Reference => Self::conflict(
                "reference",
                "something that this names does not exist, or something still uses this",
            ),
            StorageError::StaleVersion { actual, .. } => Self::stale(actual),
            StorageError::Unavailable(_) => {
                tracing::warn!(cause = %error, "the database is unavailable");
                Self::unavailable(
                    "the database is unavailable; nothing was changed, try again in a moment",
                )
            }
            other => Self::internal(&other),
        }
    }
}

impl From<AdjustError> for Problem {
    fn from(error: AdjustError) -> Self {
        match error {
            AdjustError::Unavailable => Self::unavailable(error.to_string()),
            other => Self::internal(&other),
        }
    }
}

/// The body of every error of the management API.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// Names this event in our logs; also in the header `x-request-id`.
    event_id: String,
    /// The broad class of the error.
    #[serde(rename = "type")]
    kind: String,
    /// Always true: existing clients of the market's contract tell errors apart by it.
    is_bifrost_error: bool,
    /// The HTTP status again.
    status_code: u16,
    error: ErrorDetail,
    extra_fields: ErrorExtras,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorDetail {
    /// The broad class of the error.
    #[serde(rename = "type")]
    kind: String,
    /// Stable and machine-readable.
    code: String,
    /// For people: what is wrong and what to do.
    message: String,
    /// A JSON pointer into the request, when one place is at fault.
    param: Option<String>,
    /// As above.
    event_id: String,
}

/// Every problem of the body, when the body is at fault.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorExtras {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<FieldProblem>,
}
