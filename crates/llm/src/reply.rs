//! What Tollgate itself answers, in the dialect of the route: refusals and failures, and lists of models.

mod anthropic;
mod details;
mod gemini;
mod json_rpc;
mod models;
mod openai;

use bytes::Bytes;
use serde_json::Value;
use tollgate_domain::GatewayError;

pub use models::{ModelEntry, anthropic_models, openai_model, openai_models};

/// The dialect in which a client speaks to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `/v1`, `/openai`.
    OpenAi,
    /// `/anthropic`, `/v1/messages`.
    Anthropic,
    /// `/genai`.
    Gemini,
    /// `/mcp`.
    JsonRpc,
}

/// An error on its way to the client.
#[derive(Debug, Clone, Copy)]
pub struct ErrorReply<'a> {
    /// What went wrong.
    pub error: &'a GatewayError,
    /// The HTTP status that goes with it: the error's own, or the provider's.
    pub status: u16,
    /// The request's id, as in the `x-request-id` header.
    pub request_id: &'a str,
}

impl<'a> ErrorReply<'a> {
    /// A reply with the status of the error's kind.
    pub const fn new(error: &'a GatewayError, request_id: &'a str) -> Self {
        Self {
            error,
            status: error.kind.status(),
            request_id,
        }
    }

    /// The same with the provider's own status.
    #[must_use]
    pub const fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The body of a plain answer, JSON.
    pub fn to_body(&self, dialect: Dialect) -> Bytes {
        self.to_value(dialect).to_string().into()
    }

    /// The event that ends a stream which has begun already.
    pub fn to_event(&self, dialect: Dialect) -> Bytes {
        let data = self.to_value(dialect);
        match dialect {
            Dialect::Anthropic => format!("event: error\ndata: {data}\n\n"),
            Dialect::JsonRpc => format!("event: message\ndata: {data}\n\n"),
            Dialect::OpenAi | Dialect::Gemini => format!("data: {data}\n\n"),
        }
        .into()
    }

    fn to_value(self, dialect: Dialect) -> Value {
        match dialect {
            Dialect::OpenAi => openai::error(&self),
            Dialect::Anthropic => anthropic::error(&self),
            Dialect::Gemini => gemini::error(&self),
            Dialect::JsonRpc => json_rpc::error(&self),
        }
    }
}
