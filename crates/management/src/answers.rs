//! What many operations answer alike.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::openapi::response::Response;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::extract::{ETag, Json};

/// A sentence for people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) message: String,
}

impl Message {
    pub(crate) fn new(message: impl Into<String>) -> Json<Self> {
        Json(Self {
            message: message.into(),
        })
    }
}

/// The answer of a write: it can be written down, and given again.
pub(crate) trait Reply {
    /// Its status.
    fn status(&self) -> StatusCode {
        StatusCode::OK
    }

    /// Headers that belong to it, besides those that every answer has.
    fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &[]
    }

    /// Its body.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which would be a mistake of ours.
    fn to_text(&self) -> Result<String, serde_json::Error>;
}

impl<T: Serialize> Reply for Json<T> {
    fn to_text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&self.0)
    }
}

impl<T: Serialize> Reply for (ETag, Json<T>) {
    fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.0
    }

    fn to_text(&self) -> Result<String, serde_json::Error> {
        self.1.to_text()
    }
}

impl<R: Reply> Reply for (StatusCode, R) {
    fn status(&self) -> StatusCode {
        self.0
    }

    fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        self.1.headers()
    }

    fn to_text(&self) -> Result<String, serde_json::Error> {
        self.1.to_text()
    }
}

impl<T: Serialize> Reply for (StatusCode, ETag, Json<T>) {
    fn status(&self) -> StatusCode {
        self.0
    }

    fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.1
    }

    fn to_text(&self) -> Result<String, serde_json::Error> {
        self.2.to_text()
    }
}

/// How every operation can fail.
pub(crate) struct Refusals;

/// How an operation with a body can fail as well.
pub(crate) struct WriteRefusals;

const COMMON: [(&str, &str); 6] = [
    (
        "400",
        "A parameter or the body is not acceptable; `param` points at the place.",
    ),
    ("401", "No management API key, or not a valid one."),
    (
        "403",
        "The key lacks the permission, which the message names.",
    ),
    ("404", "What the path names does not exist."),
    ("500", "A mistake of ours; quote the event id."),
    (
        "503",
        "The database or the ledger is unavailable; nothing was changed.",
    ),
];

const WITH_BODY: [(&str, &str); 4] = [
    ("409", "A name is taken, or the state of things forbids it."),
    ("412", "`If-Match` names an old version."),
    ("413", "The body is too large."),
    ("415", "The body is not JSON."),
];

fn error_response(description: &str) -> RefOr<Response> {
    ResponseBuilder::new()
        .description(description)
        .content(
            "application/json",
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name("ErrorBody")))
                .build(),
        )
        .into()
}

fn responses(entries: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    entries
        .iter()
        .map(|(status, description)| ((*status).to_owned(), error_response(description)))
        .collect()
}

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        responses(&COMMON)
    }
}

impl IntoResponses for WriteRefusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let mut all = responses(&COMMON);
        all.extend(responses(&WITH_BODY));
        all
    }
}
