//! Cutting into a body's bytes.

use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

/// What to put in which place, first place first. The places do not overlap.
pub(crate) type Cuts = SmallVec<[(Range<usize>, String); 3]>;

/// The body with these cuts and every other byte as it was. Without cuts it is shared, not copied.
pub(crate) fn apply(body: &Bytes, cuts: &Cuts) -> Bytes {
    if cuts.is_empty() {
        return body.clone();
    }
    // The exact size: a buffer that is full becomes `Bytes` without another allocation.
    let put_in: usize = cuts.iter().map(|(_, text)| text.len()).sum();
    let cut_out: usize = cuts.iter().map(|(range, _)| range.len()).sum();
    let mut spliced = Vec::with_capacity((body.len() + put_in).saturating_sub(cut_out));
    let mut copied = 0;
    for (range, text) in cuts {
        spliced.extend_from_slice(body.get(copied..range.start).unwrap_or_default());
        spliced.extend_from_slice(text.as_bytes());
        copied = range.end;
    }
    spliced.extend_from_slice(body.get(copied..).unwrap_or_default());
    spliced.into()
}

/// `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let needs_escape = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
    if text.bytes().any(needs_escape) {
        return serde_json::Value::from(text).to_string();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    quoted.push_str(text);
    quoted.push('"');
    quoted
}
