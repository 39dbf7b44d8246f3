//! Wire formats of model providers, without I/O: envelopes, splices, usage, event streams, error bodies.
//!
//! What a request asks for is read from its bytes without building a tree ([`openai::Envelope`]); what has to differ on
//! the way to the provider is cut into those bytes ([`openai::splice()`]); everything else passes untouched. What an
//! answer consumed is read from the tail of a body ([`usage::from_body`]) or from the events of a stream
//! ([`stream::StreamMeter`]), and refusals are written in the client's own dialect ([`reply::ErrorReply`]).
//!
//! No input may panic: bodies come from strangers and answers from the network.
#![warn(missing_docs)]

pub mod anthropic;
mod cuts;
mod findings;
pub mod gemini;
mod json;
pub mod openai;
pub mod reply;
mod request;
pub mod sandbox;
pub mod stream;
pub mod tokens;
pub mod usage;

pub use request::{MAX_CHOICES, MAX_DEPTH, MAX_MODEL_BYTES, MAX_OUTPUT_LIMIT};
