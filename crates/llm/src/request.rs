//! What the dialects have in common when they read a request.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tollgate_domain::{ErrorKind, GatewayError};

use crate::json;

/// Longest model name, in bytes.
pub const MAX_MODEL_BYTES: usize = 512;
/// Deepest nesting of arrays and objects in a body.
pub const MAX_DEPTH: usize = 128;
/// Most choices that one request may ask for.
pub const MAX_CHOICES: u64 = 128;
/// Largest output limit that a request may name.
pub const MAX_OUTPUT_LIMIT: u64 = i32::MAX as u64;

/// A member's name as it was sent.
#[derive(Debug)]
pub(crate) struct Name<'a> {
    text: Cow<'a, str>,
    is_escaped: bool,
}

impl Name<'_> {
    /// Whether this is `name`, letter by letter and without escapes.
    pub(crate) fn is_exactly(&self, name: &str) -> bool {
        !self.is_escaped && self.text == name
    }

    /// Whether a reader that folds case would take this for `name` (ASCII).
    pub(crate) fn is_like(&self, name: &str) -> bool {
        // What folds to an ASCII letter is never shorter than it, and as long only when it is one.
        if self.text.len() <= name.len() || self.text.is_ascii() {
            return self.text.eq_ignore_ascii_case(name);
        }
        // The two characters outside ASCII that fold to an ASCII letter: long s and the Kelvin sign.
        let folded = self.text.chars().map(|letter| match letter {
            'ſ' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        });
        folded.eq(name.chars().map(|letter| letter.to_ascii_lowercase()))
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl<'de> Visitor<'de> for NameVisitor {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member name")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Name {
                    text: Cow::Borrowed(text),
                    is_escaped: false,
                })
            }

            // The parser lends only what stands in the input as it is; a copy means that it undid escapes.
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Name {
                    text: Cow::Owned(text.to_owned()),
                    is_escaped: true,
                })
            }
        }
        deserializer.deserialize_str(NameVisitor)
    }
}

/// The body as text that is safe to parse.
pub(crate) fn text(body: &[u8]) -> Result<&str, GatewayError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        invalid(format!(
            "the body is not UTF-8 at byte {}; send JSON in UTF-8",
            error.valid_up_to()
        ))
    })?;
    if json::is_deeper_than(body, MAX_DEPTH) {
        return Err(invalid(format!(
            "the body nests arrays and objects deeper than {MAX_DEPTH} levels; flatten it"
        )));
    }
    Ok(text)
}

/// Some members of an object, as they stand in the body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Members<'a, const N: usize> {
    values: [Option<&'a str>; N],
    /// Whether the object has no member at all.
    pub(crate) is_empty: bool,
}

impl<'a, const N: usize> Members<'a, N> {
    /// The value of the member that has this place in the list of names.
    pub(crate) fn get(&self, index: usize) -> Option<&'a str> {
        self.values.get(index).copied().flatten()
    }

    /// The value, unless it is null: that is how clients say "not set".
    pub(crate) fn get_set(&self, index: usize) -> Option<&'a str> {
        self.get(index).filter(|raw| *raw != "null")
    }
}

/// Reads the members of these names from an object. Each may be there once, in its own spelling; others are skipped.
/// `path` leads to the object, ends with a dot when it is not empty, and is part of the field that a refusal names.
pub(crate) fn members<'a, const N: usize>(
    object: &'a str,
    path: &str,
    names: &[&str; N],
) -> Result<Members<'a, N>, GatewayError> {
    let mut fault = None;
    let mut deserializer = serde_json::Deserializer::from_str(object);
    deserializer
        .deserialize_map(MembersVisitor {
            path,
            names,
            fault: &mut fault,
        })
        .and_then(|members| deserializer.end().map(|()| members))
        .map_err(|error| {
            fault
                .take()
                .unwrap_or_else(|| match path.strip_suffix('.') {
                    Some(name) if error.is_data() => {
                        invalid(format!("`{name}` has to be an object or null")).with_param(name)
                    }
                    _ => malformed(&error),
                })
        })
}

/// A refusal that names a field leaves through `fault`, since the parser's own error type carries only text.
struct MembersVisitor<'s, const N: usize> {
    path: &'s str,
    names: &'s [&'s str; N],
    fault: &'s mut Option<GatewayError>,
}

impl<'de, const N: usize> Visitor<'de> for MembersVisitor<'_, N> {
    type Value = Members<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members {
            values: [None; N],
            is_empty: true,
        };
        while let Some(sent) = map.next_key::<Name<'de>>()? {
            members.is_empty = false;
            let exact = self.names.iter().position(|name| sent.is_exactly(name));
            let Some(index) = exact else {
                if let Some(name) = self.names.iter().find(|name| sent.is_like(name)) {
                    *self.fault = Some(misspelt(name, &format!("{}{name}", self.path)));
                    return Err(A::Error::custom("misspelt"));
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if members.values[index].is_some() {
                let name = self.names[index];
                *self.fault = Some(repeated(name, &format!("{}{name}", self.path)));
                return Err(A::Error::custom("repeated"));
            }
            members.values[index] = Some(map.next_value::<&'de RawValue>()?.get());
        }
        Ok(members)
    }
}

/// The name of a model, out of a JSON string.
pub(crate) fn model_name(raw: &str) -> Result<Cow<'_, str>, GatewayError> {
    let refuse = |what: &str| {
        invalid(format!(
            "`model` {what}; name the model as `provider/model`"
        ))
        .with_param("model")
    };
    if !raw.starts_with('"') {
        return Err(refuse("has to be a string"));
    }
    let name = match plain_string(raw) {
        Some(plain) => Cow::Borrowed(plain),
        None => Cow::Owned(serde_json::from_str(raw).map_err(|_| refuse("is not valid Unicode"))?),
    };
    if name.trim().is_empty() {
        return Err(refuse("is empty"));
    }
    if name.len() > MAX_MODEL_BYTES {
        return Err(refuse(&format!("is longer than {MAX_MODEL_BYTES} bytes")));
    }
    if name.chars().any(char::is_control) {
        return Err(refuse("holds a control character"));
    }
    Ok(name)
}

/// The text of a JSON string that has no escapes.
pub(crate) fn plain_string(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?
        .strip_suffix('"')
        .filter(|text| !text.contains('\\'))
}

/// A JSON integer from 1 to `most`.
pub(crate) fn integer(name: &str, raw: &str, most: u64) -> Result<u64, GatewayError> {
    let is_integer = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    raw.parse()
        .ok()
        .filter(|value| is_integer && (1..=most).contains(value))
        .ok_or_else(|| {
            invalid(format!("`{name}` has to be an integer from 1 to {most}")).with_param(name)
        })
}

/// The elements of a list; none when it is not there.
pub(crate) fn list(raw: Option<&str>) -> Result<Vec<&RawValue>, GatewayError> {
    match raw {
        None | Some("null") => Ok(Vec::new()),
        Some(raw) => serde_json::from_str(raw).map_err(|error| malformed(&error)),
    }
}

/// A JSON boolean, or null for no.
pub(crate) fn boolean(path: &str, raw: Option<&str>) -> Result<bool, GatewayError> {
    match raw {
        None | Some("false" | "null") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(invalid(format!("`{path}` has to be true or false")).with_param(path)),
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> GatewayError {
    GatewayError::new(ErrorKind::InvalidRequest, message)
}

pub(crate) fn misspelt(name: &str, param: &str) -> GatewayError {
    invalid(format!(
        "`{name}` is spelt in another case or with escapes; write it as `{name}`"
    ))
    .with_param(param)
}

pub(crate) fn repeated(name: &str, param: &str) -> GatewayError {
    invalid(format!("`{name}` appears twice; send it once")).with_param(param)
}

/// The parser's own words, cut: they may quote the body.
pub(crate) fn malformed(error: &serde_json::Error) -> GatewayError {
    let said: String = error.to_string().chars().take(200).collect();
    if error.is_data() {
        invalid(format!("the body does not have the expected shape: {said}"))
    } else {
        invalid(format!("the body is not valid JSON: {said}"))
    }
}
