//! Requests as the provider reads them.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::Value;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// A request, as it came over the wire.
#[derive(Debug, Clone)]
pub struct ProviderRequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, without chunked framing.
    pub body: Bytes,
    /// The peer's port, which tells connections apart.
    pub peer_port: u16,
}

impl ProviderRequest {
    /// The body as JSON; null when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The `model` of the body; empty when there is none.
    pub fn model(&self) -> String {
        self.json()["model"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether the body asks for a stream.
    pub fn is_stream(&self) -> bool {
        self.json()["stream"] == Value::Bool(true)
    }

    /// Whether the body asks for usage in a stream.
    pub fn asks_for_usage(&self) -> bool {
        self.json()["stream_options"]["include_usage"] == Value::Bool(true)
    }

    /// A header's value; empty when it is missing or no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Reads one request, or `None` when the peer closes instead of sending one.
    pub(super) async fn read(
        stream: &mut TcpStream,
        buffer: &mut BytesMut,
    ) -> io::Result<Option<Self>> {
        let mut request = loop {
            if let Some(request) = parse_head(buffer)? {
                break request;
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        };
        request.peer_port = stream.peer_addr()?.port();
        let is_chunked = request
            .header("transfer-encoding")
            .eq_ignore_ascii_case("chunked");
        request.body = if is_chunked {
            read_chunks(stream, buffer).await?
        } else {
            let length = request.header("content-length").parse().unwrap_or(0);
            take(stream, buffer, length).await?
        };
        Ok(Some(request))
    }
}

/// Takes a request's head off the buffer, when it is all there.
fn parse_head(buffer: &mut BytesMut) -> io::Result<Option<ProviderRequest>> {
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut head = httparse::Request::new(&mut headers);
    let httparse::Status::Complete(length) = head.parse(buffer).map_err(io::Error::other)? else {
        return Ok(None);
    };
    let headers = head
        .headers
        .iter()
        .map(|header| {
            let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(io::Error::other)?;
            let value = HeaderValue::from_bytes(header.value).map_err(io::Error::other)?;
            Ok((name, value))
        })
        .collect::<io::Result<_>>()?;
    let request = ProviderRequest {
        method: head
            .method
            .unwrap_or_default()
            .parse()
            .map_err(io::Error::other)?,
        path: head.path.unwrap_or_default().to_owned(),
        headers,
        body: Bytes::new(),
        peer_port: 0,
    };
    buffer.advance(length);
    Ok(Some(request))
}

async fn read_chunks(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let size = httparse::parse_chunk_size(buffer)
            .map_err(|_| io::Error::other("chunk without a size"))?;
        let httparse::Status::Complete((head, size)) = size else {
            fill(stream, buffer).await?;
            continue;
        };
        buffer.advance(head);
        let size = usize::try_from(size).map_err(io::Error::other)?;
        // The data and the line end after it.
        let chunk = take(stream, buffer, size + 2).await?;
        body.extend_from_slice(&chunk[..size]);
        if size == 0 {
            return Ok(body.freeze());
        }
    }
}

async fn take(stream: &mut TcpStream, buffer: &mut BytesMut, length: usize) -> io::Result<Bytes> {
    while buffer.len() < length {
        fill(stream, buffer).await?;
    }
    Ok(buffer.split_to(length).freeze())
}

async fn fill(stream: &mut TcpStream, buffer: &mut BytesMut) -> io::Result<()> {
    if stream.read_buf(buffer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
