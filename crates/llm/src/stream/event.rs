//! What one event says.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::json;
use crate::tokens;
use crate::usage::UsageFormat;

static CHOICES: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"choices\""));
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static DELTA: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"delta\""));
static FINISH: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finish_reason\""));
static STOP: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"stop_reason\""));
static FINISH_CAMEL: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"finishReason\""));

/// The fields of an event that matter here.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// The `event` field; empty when there is none.
    pub(super) name: &'a [u8],
    /// The `data` lines, joined with LF when there are several.
    pub(super) data: Cow<'a, [u8]>,
}

impl<'a> Event<'a> {
    /// Takes an event apart; its bytes may start with a byte order mark and end with a blank line.
    pub(super) fn parse(bytes: &'a [u8]) -> Self {
        let mut rest = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut event = Self {
            name: b"",
            data: Cow::Borrowed(b""),
        };
        let mut has_data = false;
        while !rest.is_empty() {
            let end = memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            let Some(colon) = memchr(b':', line) else {
                continue;
            };
            let value = &line[colon + 1..];
            let value = value.strip_prefix(b" ").unwrap_or(value);
            match &line[..colon] {
                b"data" if has_data => {
                    let joined = event.data.to_mut();
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
                b"data" => {
                    event.data = Cow::Borrowed(value);
                    has_data = true;
                }
                b"event" => event.name = value,
                _ => {}
            }
        }
        event
    }

    /// Whether the data holds a usage report that is not null.
    pub(super) fn has_usage(&self, format: UsageFormat) -> bool {
        has_member(&self.data, format.member())
    }

    /// Whether this is the event that exists only to report usage: no choice in it, or, as some servers send it, none
    /// that says anything.
    pub(super) fn is_only_usage(&self) -> bool {
        json::outermost_member(&self.data, &CHOICES).is_some_and(|value| {
            let mut values = serde_json::Deserializer::from_slice(value).into_iter();
            let choices: Option<Result<Vec<Choice>, _>> = values.next();
            matches!(choices, Some(Ok(choices)) if choices.iter().all(Choice::is_silent))
        })
    }

    /// Whether the stream ends with this event because something failed.
    pub(super) fn is_error(&self) -> bool {
        if self.name == b"error" {
            return true;
        }
        has_member(&self.data, &ERROR)
            && json::outermost_member(&self.data, &ERROR)
                .is_some_and(|value| !value.starts_with(b"null"))
    }

    /// Whether this is the event after which the provider sends nothing more.
    pub(super) fn is_last(&self, format: UsageFormat) -> bool {
        match format {
            UsageFormat::OpenAi => {
                self.data.trim_ascii() == b"[DONE]"
                    || matches!(
                        self.name,
                        b"response.completed" | b"response.incomplete" | b"response.failed"
                    )
            }
            UsageFormat::Anthropic => self.name == b"message_stop",
            UsageFormat::Gemini => false,
        }
    }

    /// What the model wrote in this event; `None` when it is no event of that kind.
    pub(super) fn delta(&self, format: UsageFormat) -> Option<Delta> {
        let (start, finish) = match format {
            UsageFormat::OpenAi => (DELTA.find(&self.data)?, &FINISH),
            UsageFormat::Anthropic => (DELTA.find(&self.data)?, &STOP),
            UsageFormat::Gemini => (0, &FINISH_CAMEL),
        };
        // Where the reason follows the text, what is behind the last one need not be looked through.
        let mut text = start..self.data.len();
        let mut has_finish_reason = false;
        let mut is_first = true;
        for at in finish.find_iter(&self.data) {
            has_finish_reason |= has_value(&self.data, at, finish);
            if is_first && at < start {
                break;
            }
            is_first = false;
            text.end = at;
        }
        Some(Delta {
            text_bytes: tokens::text_bytes(&self.data[text]),
            has_finish_reason,
            // Gemini's errors look like any other event; OpenRouter's have a delta and a reason.
            may_be_last: has_finish_reason || format == UsageFormat::Gemini,
        })
    }
}

/// As far as it matters for whether a choice says anything.
#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    delta: Map<String, Value>,
    #[serde(default)]
    finish_reason: Value,
}

impl Choice {
    fn is_silent(&self) -> bool {
        self.finish_reason.is_null()
            && self
                .delta
                .values()
                .all(|value| value.is_null() || value == "")
    }
}

/// What the model wrote in one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delta {
    /// Bytes of text, escapes undone.
    pub(super) text_bytes: u64,
    /// Whether it says why the model stopped.
    pub(super) has_finish_reason: bool,
    /// Whether it may also say that the stream failed.
    pub(super) may_be_last: bool,
}

/// Whether a member of this name, at any depth, has a value other than null.
fn has_member(json: &[u8], name: &Finder<'_>) -> bool {
    name.find_iter(json).any(|at| has_value(json, at, name))
}

/// Whether what was found at `at` is a member's name, and its value is not null.
fn has_value(json: &[u8], at: usize, name: &Finder<'_>) -> bool {
    json::value_after(json, at + name.needle().len())
        .is_some_and(|value| !json[value..].starts_with(b"null"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_specification_says() {
        let event = Event::parse(b"\xef\xbb\xbf: note\r\nevent: error\rid\ndata:a\ndata:  b\n\n");
        assert_eq!(event.name, b"error");
        assert_eq!(&*event.data, b"a\n b");
        let event = Event::parse(b"data: {\"a\":\"b: c\"}\r\n\r\n");
        assert_eq!(&*event.data, br#"{"a":"b: c"}"#);
        assert!(matches!(event.data, Cow::Borrowed(_)));
        assert_eq!(&*Event::parse(b"database: x\n\n").data, b"");
        assert_eq!(&*Event::parse(b"").data, b"");
    }

    #[test]
    fn text_in_an_answer_cannot_pose_as_a_field() {
        let forged = Event::parse(
            br#"data: {"choices":[{"delta":{"content":"\"usage\":{\"a\":1},\"error\":1"}}]}"#,
        );
        assert!(!forged.has_usage(UsageFormat::OpenAi));
        assert!(!forged.is_error());
        let nested = Event::parse(br#"data: {"choices":[{"error":{"a":1}}]}"#);
        assert!(!nested.is_error());
    }

    #[test]
    fn text_is_counted_wherever_the_reason_stands() {
        let delta = |data: &str| {
            let event = format!("data: {data}");
            let delta = Event::parse(event.as_bytes()).delta(UsageFormat::OpenAi)?;
            Some((delta.text_bytes, delta.has_finish_reason))
        };
        assert_eq!(
            delta(
                r#"{"choices":[{"delta":{"content":"abc"},"finish_reason":null}],"content":"x"}"#
            ),
            Some((3, false))
        );
        assert_eq!(
            delta(r#"{"choices":[{"finish_reason":null,"delta":{"content":"abc"}}]}"#),
            Some((3, false))
        );
        assert_eq!(
            delta(r#"{"choices":[{"finish_reason":"stop","delta":{}}]}"#),
            Some((0, true))
        );
        let two = r#"{"delta":{"content":"a"},"finish_reason":null},{"delta":{"content":"b"},"finish_reason":"stop"}"#;
        assert_eq!(delta(two), Some((2, true)));
        assert_eq!(delta(r#"{"usage":{}}"#), None);
    }

    #[test]
    fn null_is_no_report() {
        let event = Event::parse(br#"data: {"choices":[],"usage": null,"error":null}"#);
        assert!(!event.has_usage(UsageFormat::OpenAi));
        assert!(!event.is_error());
        assert!(event.is_only_usage());
    }

    #[test]
    fn event_that_only_reports_usage_is_told_from_one_that_also_speaks() {
        let check = |choices: &str, expect: bool| {
            let data = format!(r#"data: {{"choices":{choices},"usage":{{"prompt_tokens":1}}}}"#);
            assert_eq!(
                Event::parse(data.as_bytes()).is_only_usage(),
                expect,
                "{choices}"
            );
        };
        check("[]", true);
        check("[ ]", true);
        check(r#"[{"index":0,"delta":{}}]"#, true);
        check(
            r#"[{"index":0,"delta":{"content":"","role":null},"finish_reason":null}]"#,
            true,
        );
        check(r#"[{"index":0,"delta":{},"finish_reason":"stop"}]"#, false);
        check(r#"[{"index":0,"delta":{"content":"x"}}]"#, false);
        check(r#"[{"delta":{}},{"delta":{"tool_calls":[{}]}}]"#, false);
        check("null", false);
        check("[", false);
    }
}
