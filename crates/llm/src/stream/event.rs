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

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static USAGE_METADATA: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"usageMetadata\""));
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
        self.has_member(match format {
            UsageFormat::OpenAi | UsageFormat::Anthropic => &USAGE,
            UsageFormat::Gemini => &USAGE_METADATA,
        })
    }

    /// Whether this is the event that exists only to report usage: no choice in it, or, as some servers send it, none
    /// that says anything.
    pub(super) fn is_only_usage(&self) -> bool {
        json::outermost_member(&self.data, "\"choices\"").is_some_and(|value| {
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
        self.has_member(&ERROR)
            && json::outermost_member(&self.data, "\"error\"")
                .is_some_and(|value| !value.starts_with(b"null"))
    }

    /// Whether this names why the model stopped.
    pub(super) fn has_finish_reason(&self, format: UsageFormat) -> bool {
        self.has_member(match format {
            UsageFormat::OpenAi => &FINISH,
            UsageFormat::Anthropic => &STOP,
            UsageFormat::Gemini => &FINISH_CAMEL,
        })
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

    /// Bytes of text that this event delivers.
    pub(super) fn text_bytes(&self, format: UsageFormat) -> u64 {
        let from = match format {
            UsageFormat::OpenAi | UsageFormat::Anthropic => DELTA.find(&self.data),
            UsageFormat::Gemini => Some(0),
        };
        from.map_or(0, |from| tokens::text_bytes(&self.data[from..]))
    }

    /// Whether a member of this name, at any depth, has a value other than null.
    fn has_member(&self, finder: &Finder<'_>) -> bool {
        finder
            .find_iter(&self.data)
            .any(|at| self.has_value_after(at + finder.needle().len()))
    }

    /// Whether a colon and a value other than null follow.
    fn has_value_after(&self, at: usize) -> bool {
        let colon = json::skip_whitespace(&self.data, at);
        if self.data.get(colon) != Some(&b':') {
            return false;
        }
        let value = json::skip_whitespace(&self.data, colon + 1);
        !self.data[value..].starts_with(b"null")
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
