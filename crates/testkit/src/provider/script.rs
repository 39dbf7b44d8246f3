//! Answers as lists of steps.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tokio::sync::Semaphore;
use tollgate_domain::TokenUsage;

/// One thing that happens on the connection.
#[derive(Debug, Clone)]
pub enum Step {
    /// These bytes are sent at once.
    Send(Bytes),
    /// The provider does work that it will bill.
    Bill(TokenUsage),
    /// Nothing happens until the test lets one pass.
    Await(Gate),
    /// Nothing happens until the other side leaves.
    Hang,
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Close,
}

/// Holds answers up until the test lets them go, so that no test has to guess how long something takes.
#[derive(Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many steps pass, waiting ones or later ones.
    pub fn pass(&self, steps: usize) {
        self.0.add_permits(steps);
    }

    /// Lets everything pass from now on.
    pub fn open(&self) {
        self.0.close();
    }

    /// Waits until this step may pass.
    pub(super) async fn wait(&self) {
        // A closed semaphore is an open gate.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} may pass)", self.0.available_permits())
    }
}

/// One answer. When its steps are done and none of them broke it off, the connection serves the next request.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// In order.
    pub steps: Vec<Step>,
}

impl Script {
    /// A whole answer with these headers and body.
    pub fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        let mut all = vec![("content-length", length.as_str())];
        all.extend_from_slice(headers);
        Self::default().send(head(status, &all)).send(body)
    }

    /// A whole JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::answer(
            status,
            &[("content-type", "application/json")],
            body.to_string(),
        )
    }

    /// An error in OpenAI's shape.
    pub fn error(status: u16, headers: &[(&str, &str)], message: &str) -> Self {
        let error = serde_json::json!({"error": {"message": message, "type": "mock_error", "param": null, "code": null}});
        let mut all = vec![("content-type", "application/json")];
        all.extend_from_slice(headers);
        Self::answer(status, &all, error.to_string())
    }

    /// Takes the request and never says a word.
    pub fn hang() -> Self {
        Self::default().then(Step::Hang)
    }

    /// Takes the request and resets the connection.
    pub fn reset() -> Self {
        Self::default().then(Step::Reset)
    }

    /// Bytes that are no HTTP, then the end of the connection.
    pub fn garbage() -> Self {
        Self::default()
            .send(Bytes::from_static(
                b"\x16\x03\x01\x00\xffnot http at all\r\n\r\n",
            ))
            .then(Step::Close)
    }

    /// Begins a chunked answer.
    pub fn chunked(status: u16, headers: &[(&str, &str)]) -> Self {
        let mut all = vec![("transfer-encoding", "chunked")];
        all.extend_from_slice(headers);
        Self::default().send(head(status, &all))
    }

    /// Adds a chunk to a chunked answer.
    #[must_use]
    pub fn chunk(self, data: &[u8]) -> Self {
        let mut framed = format!("{:x}\r\n", data.len()).into_bytes();
        framed.extend_from_slice(data);
        framed.extend_from_slice(b"\r\n");
        self.send(framed)
    }

    /// Ends a chunked answer.
    #[must_use]
    pub fn last_chunk(self) -> Self {
        self.send(Bytes::from_static(b"0\r\n\r\n"))
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.then(Step::Send(bytes.into()))
    }

    /// Adds a step.
    #[must_use]
    pub fn then(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

/// The status line and headers.
fn head(status: u16, headers: &[(&str, &str)]) -> Bytes {
    let reason = StatusCode::from_u16(status)
        .expect("a status")
        .canonical_reason()
        .unwrap_or("Unknown");
    let mut head = format!("HTTP/1.1 {status} {reason}\r\n");
    for (name, value) in headers {
        head.extend([name, ": ", value, "\r\n"]);
    }
    head.push_str("\r\n");
    head.into()
}
