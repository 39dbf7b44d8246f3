//! Phase "accept": the request's body, bounded in size and time.

use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt as _;
use tollgate_domain::{ErrorKind, GatewayError};

use crate::headers;

/// Refuses what is not plain JSON before anything of it is read.
pub(crate) fn check_type(headers: &HeaderMap) -> Result<(), GatewayError> {
    let unsupported =
        |message: &str| Err(GatewayError::new(ErrorKind::UnsupportedMediaType, message));
    if !headers::is_json(headers) {
        return unsupported("the body has to be JSON; send `content-type: application/json`");
    }
    if headers::is_encoded(headers) {
        return unsupported(
            "compressed bodies are not accepted; send the body without `content-encoding`",
        );
    }
    Ok(())
}

/// Most that is set aside on the mere word of a client.
const MAX_PROMISED: usize = 1 << 20;

/// Reads the whole body. A body that arrived in one piece is not copied.
pub(crate) async fn read<B>(body: B, max: usize, within: Duration) -> Result<Bytes, GatewayError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let hint = body.size_hint();
    if hint.lower() > max as u64 {
        return Err(too_large(max));
    }
    let promised = usize::try_from(hint.exact().unwrap_or(0)).unwrap_or(0);
    let expected = promised.min(MAX_PROMISED);
    tokio::time::timeout(within, collect(body, max, expected))
        .await
        .unwrap_or_else(|_| {
            Err(GatewayError::new(
                ErrorKind::RequestTimeout,
                format!(
                    "the body did not arrive within {} seconds",
                    within.as_secs()
                ),
            ))
        })
}

async fn collect<B>(body: B, max: usize, expected: usize) -> Result<Bytes, GatewayError>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = std::pin::pin!(body);
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            GatewayError::new(
                ErrorKind::InvalidRequest,
                "the connection broke before the body was complete",
            )
            .with_source(error)
        })?;
        let Ok(mut data) = frame.into_data() else {
            continue;
        };
        if first.len() + all.len() + data.remaining() > max {
            return Err(too_large(max));
        }
        if first.is_empty() && all.is_empty() {
            first = data.copy_to_bytes(data.remaining());
            continue;
        }
        if all.is_empty() {
            all.reserve(expected.max(first.len() + data.remaining()));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.reserve(data.remaining());
        while data.has_remaining() {
            let piece = data.chunk();
            all.extend_from_slice(piece);
            let length = piece.len();
            data.advance(length);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large(max: usize) -> GatewayError {
    GatewayError::new(
        ErrorKind::BodyTooLarge,
        format!("the body is larger than {max} bytes; send less"),
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http::{HeaderValue, header};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    const LONG: Duration = Duration::from_secs(5);

    async fn read_pieces(pieces: &[&'static str], max: usize) -> Result<Bytes, GatewayError> {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        read(StreamBody::new(stream::iter(frames)), max, LONG).await
    }

    #[tokio::test]
    async fn pieces_are_joined_up_to_the_limit() {
        assert_eq!(read_pieces(&["{", "}", " "], 3).await.unwrap(), "{} ");
        assert_eq!(read_pieces(&[], 3).await.unwrap(), "");
        let error = read_pieces(&["{", "}", "  "], 3).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BodyTooLarge);
    }

    #[tokio::test]
    async fn body_in_one_piece_is_not_copied() {
        let sent = Bytes::from_static(b"{}");
        let got = read(Full::new(sent.clone()), 2, LONG).await.unwrap();
        assert_eq!(got.as_ptr(), sent.as_ptr());
        let error = read(Full::new(sent), 1, LONG).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::BodyTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_client_is_not_waited_for() {
        let never = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        let error = read(never, 10, LONG).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::RequestTimeout);
    }

    #[test]
    fn only_plain_json_is_taken() {
        let check = |name: header::HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            headers.insert(name, HeaderValue::from_static(value));
            check_type(&headers).is_ok()
        };
        assert!(check(
            header::CONTENT_TYPE,
            "Application/JSON; charset=utf-8"
        ));
        assert!(check(header::CONTENT_TYPE, "application/vnd.x+json"));
        assert!(!check(header::CONTENT_TYPE, "text/plain"));
        assert!(!check(header::CONTENT_TYPE, "+json"));
        assert!(!check(header::CONTENT_ENCODING, "gzip"));
        assert!(check(header::CONTENT_ENCODING, "identity"));
        assert!(check_type(&HeaderMap::new()).is_err());
        let mut twice = HeaderMap::new();
        twice.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for encoding in ["identity", "gzip"] {
            let encoding = HeaderValue::from_static(encoding);
            twice.append(header::CONTENT_ENCODING, encoding);
        }
        assert!(check_type(&twice).is_err());
    }
}
