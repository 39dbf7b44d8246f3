//! What inside messages, tools and inputs makes the cost of a request unboundable.
//!
//! Only looks; whether an unboundable request is refused is policy. When in doubt it says that it cannot be bounded.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::findings::{FILE, Findings, REMOTE, SERVER_TOOL};
use crate::request::Name;

const STORED_AUDIO: &str = "audio that is stored at the provider";

/// Members of a content part that is text. What is written to a cache costs more, which a bound allows for.
const TEXT_MEMBERS: [&str; 5] = [
    "type",
    "text",
    "refusal",
    "cache_control",
    "prompt_cache_breakpoint",
];

/// Walks an array of messages.
pub(super) struct Messages<'f>(pub(super) &'f mut Findings);

impl<'de> DeserializeSeed<'de> for Messages<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Messages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut messages: A) -> Result<(), A::Error> {
        while messages.next_element_seed(Message(self.0))?.is_some() {}
        Ok(())
    }
}

struct Message<'f>(&'f mut Findings);

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if name.is_like("content") {
                look_at_content(members.next_value::<&RawValue>()?.get(), self.0);
            } else if name.is_like("audio") {
                if members.next_value::<&RawValue>()?.get() != "null" {
                    self.0.add(STORED_AUDIO);
                }
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// A plain string is text; anything else is looked at part by part.
fn look_at_content(content: &str, findings: &mut Findings) {
    if content.starts_with(['[', '{']) {
        // The text is JSON already; what is neither of the shapes we know counts as a file.
        let parsed: Result<Vec<&RawValue>, _> = serde_json::from_str(content);
        let Ok(parts) = parsed else {
            findings.add(FILE);
            return;
        };
        for part in parts {
            look_at_part(part.get(), findings);
        }
    }
}

fn look_at_part(part: &str, findings: &mut Findings) {
    if part.starts_with('{') {
        let mut deserializer = serde_json::Deserializer::from_str(part);
        if deserializer.deserialize_map(Part(findings)).is_err() {
            findings.add(FILE);
        }
    } else if !part.starts_with('"') {
        findings.add(FILE);
    }
}

struct Part<'f>(&'f mut Findings);

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a content part")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if TEXT_MEMBERS.iter().any(|known| name.is_exactly(known)) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = members.next_value::<&RawValue>()?.get().as_bytes();
            let holds = |needle: &str| memmem::find(value, needle.as_bytes()).is_some();
            let is_remote = holds("://") || holds(":\\/");
            let is_audio = name.is_exactly("input_audio") && !is_remote;
            if is_audio || (name.is_exactly("image_url") && is_image(value)) {
                self.0.has_media = true;
            } else if (holds("\"data:") && !is_remote) || holds("\"file_data\"") {
                self.0.add(FILE);
            } else {
                self.0.add(REMOTE);
            }
        }
        Ok(())
    }
}

/// Whether the value of `image_url` is an image that stands in it, and nothing else.
fn is_image(value: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Image<'a> {
        #[serde(borrow)]
        url: Cow<'a, str>,
        #[serde(default, rename = "detail")]
        _detail: Option<IgnoredAny>,
    }
    serde_json::from_slice::<Image<'_>>(value)
        .is_ok_and(|image| image.url.starts_with("data:image/"))
}

/// Walks an array of tool definitions.
pub(super) struct Tools<'f>(pub(super) &'f mut Findings);

impl<'de> DeserializeSeed<'de> for Tools<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for Tools<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of tools")
    }

    fn visit_none<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut tools: A) -> Result<(), A::Error> {
        while tools.next_element_seed(Tool(self.0))?.is_some() {}
        Ok(())
    }
}

struct Tool<'f>(&'f mut Findings);

impl<'de> DeserializeSeed<'de> for Tool<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Tool<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tool object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut runs_at_client = false;
        while let Some(name) = members.next_key::<Name<'de>>()? {
            if name.is_like("type") {
                let kind = members.next_value::<&RawValue>()?.get();
                if matches!(kind, r#""function""# | r#""custom""#) {
                    runs_at_client = true;
                } else {
                    self.0.add(SERVER_TOOL);
                }
            } else {
                runs_at_client |= name.is_like("function") || name.is_like("custom");
                members.next_value::<IgnoredAny>()?;
            }
        }
        if !runs_at_client {
            self.0.add(SERVER_TOOL);
        }
        Ok(())
    }
}

/// An embeddings input: text and token lists are text; an object in it is a file.
pub(super) fn look_at_input(input: &str, findings: &mut Findings) {
    if memchr(b'{', input.as_bytes()).is_none() {
        return;
    }
    if input.starts_with('[') {
        look_at_content(input, findings);
    } else if input.starts_with('{') {
        findings.add(FILE);
    }
}
