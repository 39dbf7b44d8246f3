//! What the headers of an answer say of it: who served the request, what it cost, and what is left.

use std::fmt::{Display, Write as _};

use bytes::BytesMut;
use http::header::HeaderValue;
use http::{HeaderMap, HeaderName};
use tollgate_gate::{Admission, Numbers, RateLimit};

use crate::headers;

/// Room for the texts of one answer; a longer one is only a little slower.
const USUAL_BYTES: usize = 320;

/// The headers of an answer, while ours are added.
///
/// Their texts are written side by side into one buffer that they share: memory of its own for each of a dozen would cost
/// more than writing it.
#[derive(Debug)]
pub(crate) struct Description {
    headers: HeaderMap,
    texts: BytesMut,
}

impl Description {
    /// Goes on from `headers`.
    pub(crate) fn of(headers: HeaderMap) -> Self {
        Self {
            headers,
            texts: BytesMut::with_capacity(USUAL_BYTES),
        }
    }

    /// All headers, ours included.
    pub(crate) fn into_headers(self) -> HeaderMap {
        self.headers
    }

    /// Which request this answers, and who served it.
    pub(crate) fn request(&mut self, admission: &Admission) {
        self.set(&headers::REQUEST_ID, admission.request_id());
        self.route(admission);
    }

    /// Who served it.
    pub(crate) fn route(&mut self, admission: &Admission) {
        let candidate = admission.candidate();
        self.text(&headers::MODEL, &candidate.model);
        self.text(&headers::PROVIDER, candidate.provider.name.as_str());
    }

    /// What is left of the tightest limits.
    pub(crate) fn limits(&mut self, numbers: &Numbers) {
        if let Some(remaining) = numbers.budget_remaining {
            self.set(&headers::BUDGET_REMAINING, remaining);
        }
        if let Some(limit) = &numbers.requests {
            self.rate(&headers::RATE_REQUESTS, limit);
        }
        if let Some(limit) = &numbers.tokens {
            self.rate(&headers::RATE_TOKENS, limit);
        }
    }

    fn rate(&mut self, names: &[HeaderName; 3], rate: &RateLimit) {
        let [limit, remaining, reset] = names;
        self.number(limit, rate.limit, "");
        self.number(remaining, rate.remaining, "");
        // As OpenAI writes it: a number with its unit.
        self.number(reset, rate.reset_seconds, "s");
    }

    /// As [`Self::set`], past the machinery of formatting, which costs more than these texts.
    fn text(&mut self, name: &HeaderName, text: &str) {
        self.texts.extend_from_slice(text.as_bytes());
        self.take_text(name);
    }

    /// As [`Self::text`], for a whole number.
    fn number(&mut self, name: &HeaderName, number: impl itoa::Integer, unit: &str) {
        let mut digits = itoa::Buffer::new();
        self.texts
            .extend_from_slice(digits.format(number).as_bytes());
        self.text(name, unit);
    }

    /// Sets a header, when the text can be one. A text beyond ASCII cannot: readers differ in what they take it for.
    pub(crate) fn set(&mut self, name: &HeaderName, text: impl Display) {
        // Writing to memory does not fail, and none of these texts refuses to be written.
        let _ = write!(self.texts, "{text}");
        self.take_text(name);
    }

    /// Makes a header of what was written since the last one.
    fn take_text(&mut self, name: &HeaderName) {
        let text = self.texts.split().freeze();
        if text.is_ascii()
            && let Ok(value) = HeaderValue::from_maybe_shared(text)
        {
            self.headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_reader_takes_alike_becomes_a_header() {
        let mut description = Description::of(HeaderMap::new());
        for unfit in ["modèle", "two\nlines", "nul\0"] {
            description.set(&headers::MODEL, unfit);
            assert!(description.headers.is_empty(), "{unfit:?}");
        }
        description.set(&headers::MODEL, "gpt-4o");
        description.set(&headers::PROVIDER, "openai");
        let set = description.into_headers();
        assert_eq!(set[&headers::MODEL], "gpt-4o");
        assert_eq!(set[&headers::PROVIDER], "openai");
    }
}
