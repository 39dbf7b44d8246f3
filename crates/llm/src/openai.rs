//! OpenAI's dialect: what a request asks for, and what is changed on its way to the provider.

mod content;
mod envelope;
mod field;
mod splice;

pub use envelope::Envelope;
pub use splice::{Edits, OutputField, OutputLimit, splice};
