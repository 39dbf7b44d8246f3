//! Phase "authenticate": every header in which a key may be.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tollgate_gate::Credentials;

/// What the request carries that may be a virtual key. None of it is ever forwarded.
pub(crate) fn find(headers: &HeaderMap) -> Credentials<'_> {
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
    credentials
}
