//! `Idempotency-Key` on POST: the same key and body within a day get the same answer, and nothing happens twice.
//!
//! A request with a key waits for its turn among those with the same one ([`turns`]) and then holds a [`Claim`]. The
//! claim travels with the request to [`Context::commit`](crate::context::Context::commit), which writes the answer down
//! in the transaction of what it tells of: either both are stored or neither. An answer that tells of no change has no
//! transaction, so it is written down by itself. So is the answer to a correction of money, which happens in the ledger:
//! that one takes the claim's name into its journal ([`Claim::once`]), and does not make the same twice.

mod claim;
mod mask;
mod turns;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use tollgate_domain::live::Once;
use tollgate_storage::idempotency::{self, Recorded, RecordedAnswer};

pub(crate) use self::claim::Claim;
pub(crate) use self::turns::Turns;
use crate::door::Actor;
use crate::extract::read_bytes;
use crate::problem::{Answer, Problem};
use crate::secrets::hash_bytes;
use crate::state::ManagementState;

/// For how long an answer is kept, in microseconds.
const KEPT_FOR: i64 = Once::KEPT_FOR;
/// Longest key, in characters.
const MAX_KEY: usize = 255;
/// Says that an answer is a repetition.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Answers a repeated POST as before. Requests without the header pass untouched.
pub(crate) async fn repeat(
    State(state): State<ManagementState>,
    request: Request,
    next: Next,
) -> Response {
    let keys = request.headers().get_all("idempotency-key");
    let keys: Vec<HeaderValue> = keys.iter().cloned().collect();
    if keys.is_empty() || request.method() != Method::POST {
        return next.run(request).await;
    }
    match run(&state, &keys, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn run(
    state: &ManagementState,
    keys: &[HeaderValue],
    request: Request,
    next: Next,
) -> Answer<Response> {
    let key = read_key(keys)?;
    let actor = request.extensions().get::<Actor>().map(Actor::id);
    let actor = actor.ok_or_else(|| Problem::unauthenticated("no credential was checked"))?;
    let (mut parts, body) = request.into_parts();
    let bytes = read_bytes(body).await?;
    let line = format!("{} {}\n", parts.method, parts.uri);
    let fingerprint = hash_bytes(&[line.as_bytes(), &bytes].concat());
    let turn = state.turns().wait(&actor, &key).await;
    let since = state.parts().clock.now().saturating_add_micros(-KEPT_FOR);
    if let Some(recorded) = idempotency::find(&state.parts().store, &actor, &key, since).await? {
        match recorded {
            Recorded::Answer(answer) if answer.fingerprint == fingerprint => {
                return Ok(replay(answer));
            }
            // The ledger knows what it has made; the answer is made anew.
            Recorded::Made { fingerprint: made } if made == fingerprint => {}
            Recorded::Answer(_) | Recorded::Made { .. } => return Err(key_reused()),
        }
    }
    let claim = Claim::new(turn, fingerprint);
    parts.extensions.insert(claim.clone());
    let response = next
        .run(Request::from_parts(parts, Body::from(bytes)))
        .await;
    if !response.status().is_success() || claim.is_recorded() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await;
    let bytes = bytes.map_err(|error| Problem::internal(&error))?.to_bytes();
    let mut tx = state.parts().store.begin().await?;
    let text = String::from_utf8_lossy(&bytes);
    let own = parts
        .headers
        .iter()
        .filter(|(name, _)| !is_of_the_body(name));
    claim
        .record(state, &mut tx, parts.status, own, &text)
        .await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn read_key(values: &[HeaderValue]) -> Answer<String> {
    let [value] = values else {
        let message = "`Idempotency-Key` was sent twice; send one name for the request";
        return Err(Problem::invalid("", message));
    };
    value
        .to_str()
        .ok()
        .filter(|text| !text.trim().is_empty() && text.len() <= MAX_KEY)
        .map(str::to_owned)
        .ok_or_else(|| {
            Problem::invalid(
                "",
                format!("`Idempotency-Key` must have 1 to {MAX_KEY} printable characters"),
            )
        })
}

/// The key belongs to another request.
pub(crate) fn key_reused() -> Problem {
    Problem::conflict(
        "idempotency_key_reused",
        "this `Idempotency-Key` was used with another request; use a new one",
    )
}

fn replay(recorded: RecordedAnswer) -> Response {
    let status = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::OK);
    let mut response = (status, recorded.body).into_response();
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    for (name, value) in recorded.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    response
}

/// Headers that say how the body is written, which a repeated answer has by itself.
fn is_of_the_body(name: &HeaderName) -> bool {
    *name == header::CONTENT_TYPE || *name == header::CONTENT_LENGTH
}
