//! OpenAI's dialect: what a request asks for, and what is changed on its way to the provider.

mod content;
mod envelope;
mod field;
mod splice;

pub use envelope::{Envelope, MAX_CHOICES, MAX_DEPTH, MAX_MODEL_BYTES, MAX_OUTPUT_LIMIT};
pub use splice::{Edits, OutputField, OutputLimit, splice};
