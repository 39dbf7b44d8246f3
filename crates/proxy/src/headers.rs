//! Which headers cross, in each direction: lists of what may, so that nothing leaks by being forgotten.

use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue,
    RETRY_AFTER, USER_AGENT,
};
use http::{HeaderMap, response};
use secrecy::ExposeSecret as _;
use tollgate_domain::provider::{Provider, ProviderKey};

/// From the client to the provider, besides what we set ourselves. Nothing that could be a credential, name an account
/// or describe the connection.
const TO_PROVIDER: [HeaderName; 5] = [
    ACCEPT,
    CONTENT_TYPE,
    HeaderName::from_static("openai-beta"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
];

/// From the provider to the client, on every answer. A provider that compresses although nobody asked has to be believed.
const TO_CLIENT: [HeaderName; 4] = [
    CONTENT_ENCODING,
    CONTENT_TYPE,
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];

/// From the provider to the client, on errors only: when to come back.
const TO_CLIENT_ON_ERROR: [HeaderName; 2] =
    [RETRY_AFTER, HeaderName::from_static("retry-after-ms")];

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
pub(crate) const ERROR_SOURCE: HeaderName = HeaderName::from_static("x-tollgate-error-source");
pub(crate) const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
pub(crate) const COST: HeaderName = HeaderName::from_static("x-tollgate-cost-usd");
pub(crate) const MODEL: HeaderName = HeaderName::from_static("x-tollgate-model");
pub(crate) const PROVIDER: HeaderName = HeaderName::from_static("x-tollgate-provider");
pub(crate) const BUDGET_REMAINING: HeaderName =
    HeaderName::from_static("x-tollgate-budget-remaining-usd");
/// Limit, what is left of it, and when it starts anew.
pub(crate) const RATE_REQUESTS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
/// As [`RATE_REQUESTS`].
pub(crate) const RATE_TOKENS: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];
/// The provider's own id of the request, for its support.
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-tollgate-upstream-request-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

const OUR_NAME: HeaderValue =
    HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));

/// The credential of a provider cannot be sent: it holds a byte that no header may hold.
#[derive(Debug, thiserror::Error)]
#[error(
    "the key `{0}` of this provider holds a character that no header can carry; enter it again"
)]
pub(crate) struct UnusableCredential(String);

/// The headers of the request to the provider: what the client may say, then what the provider's settings say, and the
/// credential last, so that nothing overrides it.
pub(crate) fn to_provider(
    from_client: &HeaderMap,
    base: &HeaderMap,
    provider: &Provider,
    key: Option<&ProviderKey>,
) -> Result<HeaderMap, UnusableCredential> {
    let mut headers = HeaderMap::with_capacity(8 + base.len());
    for name in &TO_PROVIDER {
        if let Some(value) = from_client.get(name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(USER_AGENT, OUR_NAME);
    for name in base.keys() {
        headers.remove(name);
    }
    headers.extend(
        base.iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    if let Some(key) = key.filter(|key| !key.secret.expose_secret().is_empty()) {
        let text = format!("Bearer {}", key.secret.expose_secret());
        let mut value =
            HeaderValue::try_from(text).map_err(|_| UnusableCredential(key.name.to_string()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    } else if !provider.is_keyless {
        headers.remove(AUTHORIZATION);
    }
    Ok(headers)
}

/// What of the provider's headers the client gets to see.
pub(crate) fn to_client(upstream: &response::Parts) -> HeaderMap {
    // What comes from here and what Tollgate adds, without having to grow.
    let mut headers = HeaderMap::with_capacity(24);
    let mut copy = |name: &HeaderName, as_name: &HeaderName| {
        if let Some(value) = upstream.headers.get(name) {
            headers.insert(as_name, value.clone());
        }
    };
    for name in &TO_CLIENT {
        copy(name, name);
    }
    if !upstream.status.is_success() {
        for name in &TO_CLIENT_ON_ERROR {
            copy(name, name);
        }
    }
    copy(&REQUEST_ID, &UPSTREAM_REQUEST_ID);
    headers
}

/// Tells everything between us and the client not to hold a stream back.
pub(crate) fn forbid_buffering(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// The seconds after which the provider wants to be asked again.
pub(crate) fn retry_after_seconds(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let [seconds, millis] = &TO_CLIENT_ON_ERROR;
    text(seconds)
        .and_then(|text| text.trim().parse().ok())
        .or_else(|| {
            let millis: u64 = text(millis)?.trim().parse().ok()?;
            Some(millis.div_ceil(1_000))
        })
}

/// Whether a content type says JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| {
        kind.eq_ignore_ascii_case("application/json")
            || (kind.len() > 5 && kind.as_bytes()[kind.len() - 5..].eq_ignore_ascii_case(b"+json"))
    })
}

/// Whether the body is something else than what the content type says.
pub(crate) fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// Whether a content type says event stream.
pub(crate) fn is_event_stream(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case("text/event-stream"))
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim())
}
