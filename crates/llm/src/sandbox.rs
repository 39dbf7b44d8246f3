//! The built-in provider's answers: the same request always gets the same text, with real usage counts, and no account,
//! socket or clock is involved. It speaks OpenAI's dialect.
//!
//! `sandbox-small` says what it was told, `sandbox-large` says more about it; `sandbox-embedding` makes unit vectors in
//! which texts with the same words are close. Their prices are in the embedded catalog.

mod chat;
mod embeddings;
mod request;
mod schema;
mod stream;
mod tokenizer;

use bytes::Bytes;
use serde_json::json;
use tollgate_domain::Timestamp;
use tollgate_domain::access::Endpoint;
use tollgate_domain::time::MICROS_PER_SECOND;

pub use tokenizer::count_tokens;

/// What the sandbox serves, as the provider's own model names.
pub const MODELS: [&str; 3] = [SMALL, LARGE, EMBEDDING];

const SMALL: &str = "sandbox-small";
const LARGE: &str = "sandbox-large";
const EMBEDDING: &str = "sandbox-embedding";

/// Most output tokens of one choice, as the catalog has it.
const MAX_OUTPUT_TOKENS: u64 = 16_384;

/// An answer, as a provider on the network would give it.
#[derive(Debug)]
pub struct SandboxAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The content type.
    pub content_type: &'static str,
    /// The body, piece by piece; a streamed answer has a piece for each event.
    pub body: SandboxBody,
}

/// The pieces of an answer's body, made when they are asked for.
#[derive(Debug)]
pub struct SandboxBody(Pieces);

#[derive(Debug)]
enum Pieces {
    Whole(Option<Bytes>),
    Events(Box<stream::Events>),
}

impl Iterator for SandboxBody {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        match &mut self.0 {
            Pieces::Whole(body) => body.take(),
            Pieces::Events(events) => events.next(),
        }
    }
}

/// Answers a request. `body` is what would be sent to a provider on the network; `request_id` and `now` go into the
/// answer's id and creation time.
pub fn answer(endpoint: Endpoint, body: &[u8], request_id: &str, now: Timestamp) -> SandboxAnswer {
    let stamp = Stamp {
        request_id,
        created: now.as_micros() / MICROS_PER_SECOND,
    };
    let answered = match endpoint {
        Endpoint::ChatCompletions => chat::answer(body, &stamp),
        Endpoint::Embeddings => embeddings::answer(body),
    };
    answered.unwrap_or_else(|refusal| refusal.to_answer())
}

/// What makes one answer differ from another to the same request.
#[derive(Debug, Clone, Copy)]
struct Stamp<'a> {
    request_id: &'a str,
    /// Seconds since the Unix epoch.
    created: i64,
}

/// Why the sandbox does not answer.
#[derive(Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    param: Option<&'static str>,
    message: String,
}

impl Refusal {
    fn invalid(param: Option<&'static str>, message: impl Into<String>) -> Self {
        Self {
            status: 400,
            code: "invalid_value",
            param,
            message: message.into(),
        }
    }

    fn unknown_model(model: &str) -> Self {
        let model: String = model.chars().take(80).collect();
        Self {
            status: 404,
            code: "model_not_found",
            param: Some("model"),
            message: format!(
                "the sandbox has no model `{model}` for this endpoint; it has {}",
                MODELS.map(|name| format!("`{name}`")).join(", ")
            ),
        }
    }

    fn to_answer(&self) -> SandboxAnswer {
        json_answer(
            self.status,
            &json!({
                "error": {
                    "message": self.message,
                    "type": "invalid_request_error",
                    "param": self.param,
                    "code": self.code,
                }
            }),
        )
    }
}

fn json_answer(status: u16, body: &serde_json::Value) -> SandboxAnswer {
    SandboxAnswer {
        status,
        content_type: "application/json",
        body: SandboxBody(Pieces::Whole(Some(body.to_string().into()))),
    }
}
