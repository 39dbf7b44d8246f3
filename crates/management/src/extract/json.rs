use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::Serialize;

use crate::body::{FromJson, read_body};
use crate::problem::Problem;
use crate::state::ManagementState;

/// Largest body, in bytes. A profile with a hundred providers and as many models each is a tenth of it.
const MAX_BODY: usize = 4 << 20;

/// A JSON body, coming in read strictly, or going out.
#[derive(Debug)]
pub(crate) struct Json<T>(pub(crate) T);

impl<T: FromJson + Send> FromRequest<ManagementState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ManagementState) -> Result<Self, Problem> {
        let bytes = read_json(request).await?;
        read_body(&bytes, state.parts()).await.map(Self)
    }
}

/// A body that may be left out.
#[derive(Debug)]
pub(crate) struct OptionalJson<T>(pub(crate) Option<T>);

impl<T: FromJson + Send> FromRequest<ManagementState> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ManagementState) -> Result<Self, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return Json::from_request(request, state)
                .await
                .map(|Json(body)| Self(Some(body)));
        }
        if read_bytes(request.into_body()).await?.is_empty() {
            return Ok(Self(None));
        }
        Err(not_json())
    }
}

/// The whole body of a request that says that it is JSON, and plainly written.
pub(crate) async fn read_json(request: Request) -> Result<Bytes, Problem> {
    if !is_json(&request) {
        return Err(not_json());
    }
    let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
    if encodings.any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(unsupported(
            "the body must not be compressed; leave `content-encoding` out",
        ));
    }
    read_bytes(request.into_body()).await
}

fn not_json() -> Problem {
    unsupported("the body must be JSON; send `content-type: application/json`")
}

fn unsupported(message: &str) -> Problem {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    Problem::new(status, "unsupported_media_type", message)
}

/// The whole body, up to the limit.
pub(crate) async fn read_bytes(body: Body) -> Result<Bytes, Problem> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body is larger than {MAX_BODY} bytes"),
        )),
        Err(_) => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "malformed_body",
            "the body ended before it was complete",
        )),
    }
}

fn is_json(request: &Request) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|media| media.trim().to_ascii_lowercase())
        .is_some_and(|media| {
            media == "application/json"
                || (media.starts_with("application/") && media.ends_with("+json"))
        })
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}
