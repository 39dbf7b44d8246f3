//! Phase "authenticate": every place in which a key may be.

use http::header::AUTHORIZATION;
use http::{HeaderMap, Uri};
use tollgate_gate::Credentials;

/// What the request carries that may be a virtual key. None of it is ever forwarded.
pub(crate) fn find<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Credentials<'a> {
    let mut credentials = Credentials::default();
    for value in headers.get_all(AUTHORIZATION) {
        credentials.authorization(value.as_bytes());
    }
    for name in ["x-api-key", "api-key", "x-goog-api-key"] {
        for value in headers.get_all(name) {
            credentials.shared(value.as_bytes());
        }
    }
    for name in ["x-tollgate-key", "x-bf-vk"] {
        for value in headers.get_all(name) {
            credentials.own(value.as_bytes());
        }
    }
    // Nothing in a query opens anything, but a management key that was sent there leaks into logs on the way: say so.
    for pair in uri.query().unwrap_or_default().split('&') {
        let value = pair.split_once('=').map_or(pair, |(_, value)| value);
        credentials.unread(value.as_bytes());
    }
    credentials
}
