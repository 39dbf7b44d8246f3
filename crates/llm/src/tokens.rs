//! Our own count, for when a provider reports none.

use memchr::{memchr, memchr_iter};
use tollgate_domain::TokenUsage;

use crate::json;

/// Bytes of text for each token, in thousandths, when nothing is known of the model: English has about four.
pub const DEFAULT_MILLI_BYTES_PER_TOKEN: u64 = 4_000;

/// Members that hold what a model wrote, in any dialect.
const TEXT_MEMBERS: [&[u8]; 10] = [
    b"content",
    b"reasoning_content",
    b"reasoning",
    b"refusal",
    b"arguments",
    b"text",
    b"thinking",
    b"partial_json",
    b"delta",
    b"transcript",
];

/// Tokens in so many bytes, rounded up: no text costs nothing.
pub fn from_bytes(bytes: u64, milli_bytes_per_token: u64) -> u64 {
    let tokens = (u128::from(bytes) * 1_000).div_ceil(u128::from(milli_bytes_per_token.max(1)));
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

/// What a request consumed by our own count: input by the size of its body, output by the text that was delivered.
pub fn counted(body_bytes: u64, text_bytes: u64, milli_bytes_per_token: u64) -> TokenUsage {
    TokenUsage {
        input: from_bytes(body_bytes, milli_bytes_per_token),
        output: from_bytes(text_bytes, milli_bytes_per_token),
        ..TokenUsage::default()
    }
}

/// Bytes of the text that a model wrote in this piece of JSON, escapes undone: the values of the members that hold text.
pub fn text_bytes(json: &[u8]) -> u64 {
    let mut total = 0;
    let mut is_text = false;
    let mut at = 0;
    while let Some(quote) = json.get(at..).and_then(|rest| memchr(b'"', rest)) {
        let start = at + quote + 1;
        let Some(end) = json::string_end(json, start) else {
            break;
        };
        let after = json::skip_whitespace(json, end + 1);
        let string = &json[start..end];
        if json.get(after) == Some(&b':') {
            is_text = TEXT_MEMBERS.contains(&string);
        } else if std::mem::take(&mut is_text) {
            total += unescaped_len(string);
        }
        at = after;
    }
    total
}

/// Bytes of a JSON string without its escapes, in UTF-8 or close to it.
fn unescaped_len(string: &[u8]) -> u64 {
    let mut len = string.len();
    let mut skip_until = 0;
    for at in memchr_iter(b'\\', string) {
        if at < skip_until {
            continue;
        }
        let (escape, letter) = match string.get(at + 1) {
            Some(b'u') => (6, 2),
            _ => (2, 1),
        };
        len = len.saturating_sub(escape - letter);
        skip_until = at + escape;
    }
    len as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_the_model_wrote_counts() {
        let count = |json: &str| text_bytes(json.as_bytes());
        assert_eq!(
            count(r#"{"delta":{"role":"assistant","content":"Hello"}}"#),
            5
        );
        assert_eq!(count(r#"{"delta":{"content":"a\nb\\c\u00e9"}}"#), 7);
        assert_eq!(count(r#"{"delta":{"content":null,"refusal":"no"}}"#), 2);
        assert_eq!(
            count(r#"{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":1}"}}]}"#),
            7
        );
        assert_eq!(count(r#"{"type":"text","index":0}"#), 0);
        assert_eq!(count(r#"{"content":"unterminated"#), 0);
    }

    #[test]
    fn tokens_round_up() {
        assert_eq!(from_bytes(0, 4_000), 0);
        assert_eq!(from_bytes(1, 4_000), 1);
        assert_eq!(from_bytes(8, 4_000), 2);
        assert_eq!(from_bytes(9, 4_000), 3);
        assert_eq!(from_bytes(u64::MAX, 0), u64::MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(text_bytes(&bytes) <= bytes.len() as u64);
        }

        #[test]
        fn the_text_of_a_delta_is_counted(text in "[a-zA-Z0-9 \"\\\\\n]{0,60}") {
            let json = serde_json::json!({"delta": {"content": text}}).to_string();
            prop_assert_eq!(text_bytes(json.as_bytes()), text.len() as u64);
        }
    }
}
