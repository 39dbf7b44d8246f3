//! `Idempotency-Key` on POST: the same key and body within a day get the same answer, and nothing happens twice.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_storage::idempotency::{self, RecordedAnswer};

use crate::door::Actor;
use crate::extract::read_bytes;
use crate::problem::{Answer, Problem};
use crate::secrets::{MANAGEMENT_KEY_PREFIX, VIRTUAL_KEY_PREFIX, hash_bytes};
use crate::state::ManagementState;

/// For how long an answer is kept, in microseconds.
const KEPT_FOR: i64 = 24 * 3_600 * MICROS_PER_SECOND;
/// Longest key, in characters.
const MAX_KEY: usize = 255;
/// Says that an answer is a repetition.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// A run of letters and digits this long after one of our prefixes is a secret.
const SECRET_LENGTH: usize = 20;

/// Answers a repeated POST as before. Requests without the header pass untouched.
pub(crate) async fn repeat(
    State(state): State<ManagementState>,
    request: Request,
    next: Next,
) -> Response {
    let key = request.headers().get("idempotency-key").cloned();
    match key {
        Some(key) if request.method() == Method::POST => {
            match run(&state, &key, request, next).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            }
        }
        _ => next.run(request).await,
    }
}

async fn run(
    state: &ManagementState,
    key: &HeaderValue,
    request: Request,
    next: Next,
) -> Answer<Response> {
    let key = read_key(key)?;
    let actor = request.extensions().get::<Actor>().map(Actor::id);
    let actor = actor.ok_or_else(|| Problem::unauthenticated("no credential was checked"))?;
    let (parts, body) = request.into_parts();
    let bytes = read_bytes(Request::from_parts(parts.clone(), body)).await?;
    let line = format!("{} {}\n", parts.method, parts.uri);
    let fingerprint = hash_bytes(&[line.as_bytes(), &bytes].concat());
    // One at a time: two requests with the same key must not both find nothing recorded.
    let _turn = state.idempotency().lock().await;
    let (store, now) = (&state.parts().store, state.parts().clock.now());
    let since = now.saturating_add_micros(-KEPT_FOR);
    if let Some(recorded) = idempotency::find(store, &actor, &key, since).await? {
        return replay(recorded, fingerprint);
    }
    let response = next
        .run(Request::from_parts(parts, Body::from(bytes)))
        .await;
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = body
        .collect()
        .await
        .map_err(|error| Problem::internal(&error))?
        .to_bytes();
    let answer = RecordedAnswer {
        fingerprint,
        status: parts.status.as_u16(),
        body: mask_secrets(&String::from_utf8_lossy(&bytes)),
        created_at: now,
    };
    let mut tx = store.begin().await?;
    idempotency::record(&mut tx, &actor, &key, &answer).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn read_key(value: &HeaderValue) -> Answer<String> {
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

fn replay(recorded: RecordedAnswer, fingerprint: [u8; 32]) -> Answer<Response> {
    if recorded.fingerprint != fingerprint {
        return Err(Problem::conflict(
            "idempotency_key_reused",
            "this `Idempotency-Key` was used with another request; use a new one",
        ));
    }
    let status = StatusCode::from_u16(recorded.status).unwrap_or(StatusCode::OK);
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        ),
        (REPLAYED, HeaderValue::from_static("true")),
    ];
    Ok((status, headers, recorded.body).into_response())
}

/// The text without the secrets that it shows: they are shown once.
fn mask_secrets(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, prefix)) = [VIRTUAL_KEY_PREFIX, MANAGEMENT_KEY_PREFIX]
        .into_iter()
        .filter_map(|prefix| rest.find(prefix).map(|at| (at, prefix)))
        .min()
    {
        let (before, found) = rest.split_at(at);
        let digits = found.get(prefix.len()..).unwrap_or_default();
        let length = digits.bytes().take_while(u8::is_ascii_alphanumeric).count();
        masked.push_str(before);
        masked.push_str(prefix);
        if length >= SECRET_LENGTH {
            masked.push('…');
        } else {
            masked.push_str(digits.get(..length).unwrap_or_default());
        }
        rest = digits.get(length..).unwrap_or_default();
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        let secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
        let text = format!(
            r#"{{"a":"sk-tg-{secret}","b":"tgm-{secret}","c":"sk-tg-0123…WXYZ","d":1.50}}"#
        );
        assert_eq!(
            mask_secrets(&text),
            r#"{"a":"sk-tg-…","b":"tgm-…","c":"sk-tg-0123…WXYZ","d":1.50}"#
        );
        assert_eq!(mask_secrets("nothing"), "nothing");
    }
}
