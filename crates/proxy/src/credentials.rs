//! Phase "authenticate": every place in which a key may be.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Uri};
use tollgate_gate::Credentials;

/// Where SDKs put a key besides `authorization`.
const SHARED: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("api-key"),
    HeaderName::from_static("x-goog-api-key"),
];
/// Ours, and that of another gateway, whose clients need not be changed.
const OWN: [HeaderName; 2] = [
    HeaderName::from_static("x-tollgate-key"),
    HeaderName::from_static("x-bf-vk"),
];

/// What the request carries that may be a virtual key. None of it is ever forwarded.
pub(crate) fn find<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Credentials<'a> {
    let mut credentials = Credentials::default();
    // One look at all headers: looking six names up costs more.
    for (name, value) in headers {
        let value = value.as_bytes();
        if *name == AUTHORIZATION {
            credentials.authorization(value);
        } else if SHARED.contains(name) {
            credentials.shared(value);
        } else if OWN.contains(name) {
            credentials.own(value);
        }
    }
    // Nothing in a query opens anything, but a management key that was sent there leaks into logs on the way: say so.
    for pair in uri.query().unwrap_or_default().split('&') {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        credentials.unread(value.as_bytes());
    }
    credentials
}
