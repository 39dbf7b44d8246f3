//! Texts with rules of their own, read and described in one place.

use std::ops::Deref;

use tollgate_domain::access::ModelList;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

use super::{FromJson, Node, Problems};

/// Longest name and tag, in characters.
const MAX_NAME: usize = 255;
/// Longest e-mail address that mail servers take.
const MAX_EMAIL: usize = 254;
/// Longest name of a model or of another thing that others named, in characters.
const MAX_MODEL: usize = 512;
/// Longest list of certificates, in characters.
const MAX_CERTIFICATES: usize = 1 << 20;
/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 10_000;
/// Longest reason, in characters: in bytes it is what the journal keeps.
const MAX_REASON: usize = 1_000;

macro_rules! texts {
    ($($(#[doc = $doc:literal])* $name:ident($check:path, $least:literal..=$most:ident, $pattern:expr);)+) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(pub(crate) String);

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for std::sync::Arc<str> {
            fn from(text: $name) -> Self {
                text.0.into()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl FromJson for $name {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                let text = node.text(problems, "a string")?;
                match $check(&text) {
                    Ok(text) => Some(Self(text.to_owned())),
                    Err(message) => {
                        problems.invalid(node.pointer.as_str(), message);
                        None
                    }
                }
            }

            fn schema() -> RefOr<Schema> {
                let pattern: Option<&str> = $pattern;
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some($least))
                    .max_length(Some($most))
                    .pattern(pattern)
                    .into()
            }
        }
    )+};
}

texts! {
    /// What something is called: trimmed, without control characters.
    Name(name, 1..=MAX_NAME, Some(
        r"^[\t-\r \x85]*[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*[\t-\r \x85]*$"
    ));
    /// A word to find something by. Searches separate them by commas.
    Tag(tag, 1..=MAX_NAME, Some(
        r"^[\t-\r \x85]*[^,\x00-\x1f\x7f-\x9f]*[^\s,\x00-\x1f\x7f-\x9f][^,\x00-\x1f\x7f-\x9f]*[\t-\r \x85]*$"
    ));
    /// An e-mail address. Whether mail arrives there only mail can tell, so this looks only for slips.
    Email(email, 3..=MAX_EMAIL, Some(
        r"^[\t-\r \x85]*[^\s@\x00-\x1f\x7f-\x9f]+@[^\s@\x00-\x1f\x7f-\x9f]+[\t-\r \x85]*$"
    ));
    /// An entry of a list of models: a name, `*`, or `regex:…`.
    ModelEntry(model, 1..=MAX_MODEL, Some(r"\S"));
    /// A name that others gave: a tool's, a model's, a program's.
    NotBlank(not_blank, 1..=MAX_MODEL, Some(r"\S"));
    /// Certificates in PEM.
    Certificates(certificates, 52..=MAX_CERTIFICATES, Some(
        r"-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----"
    ));
    /// Why something is done: as a name, and longer.
    Reason(reason, 1..=MAX_REASON, Some(
        r"^[\t-\r \x85]*[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*[\t-\r \x85]*$"
    ));
    /// A text for people.
    Description(description, 0..=MAX_DESCRIPTION, None);
}

fn name(text: &str) -> Result<&str, String> {
    trimmed(text, "a name", MAX_NAME)
}

fn tag(text: &str) -> Result<&str, String> {
    if text.contains(',') {
        return Err("a tag cannot contain a comma, which separates tags in searches".to_owned());
    }
    trimmed(text, "a tag", MAX_NAME)
}

fn reason(text: &str) -> Result<&str, String> {
    trimmed(text, "a reason", MAX_REASON)
}

fn email(text: &str) -> Result<&str, String> {
    let email = text.trim();
    let is_plausible = email.chars().count() <= MAX_EMAIL
        && !email
            .chars()
            .any(|each| each.is_whitespace() || each.is_control())
        && email.split_once('@').is_some_and(|(name, host)| {
            !name.is_empty() && !host.is_empty() && !host.contains('@')
        });
    if !is_plausible {
        let shown: String = email.chars().take(80).collect();
        return Err(format!("`{shown}` is not an e-mail address"));
    }
    Ok(email)
}

fn model(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() || text.chars().count() > MAX_MODEL {
        return Err(format!("a model must have 1 to {MAX_MODEL} characters"));
    }
    match ModelList::compile(&[text]) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

fn not_blank(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() || text.chars().count() > MAX_MODEL {
        return Err(format!(
            "this must have 1 to {MAX_MODEL} characters that are not all blank"
        ));
    }
    Ok(text)
}

fn certificates(text: &str) -> Result<&str, String> {
    let (begin, end) = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----");
    let is_whole = text.find(begin) < text.rfind(end) && text.contains(begin);
    if !is_whole || text.chars().count() > MAX_CERTIFICATES {
        return Err("this is no certificate in PEM (`-----BEGIN CERTIFICATE-----` …)".to_owned());
    }
    Ok(text)
}

fn description(text: &str) -> Result<&str, String> {
    if text.chars().count() > MAX_DESCRIPTION {
        return Err(format!(
            "a description has at most {MAX_DESCRIPTION} characters"
        ));
    }
    Ok(text)
}

/// The text without white space around it, if what is left may be shown in one line.
fn trimmed<'a>(text: &'a str, what: &str, most: usize) -> Result<&'a str, String> {
    let trimmed = text.trim();
    let length = trimmed.chars().count();
    if length == 0 || length > most {
        return Err(format!(
            "{what} must have 1 to {most} characters, this has {length}"
        ));
    }
    if trimmed.chars().any(char::is_control) {
        return Err(format!("{what} cannot have control characters"));
    }
    Ok(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::read_alone;

    fn read<T: FromJson>(text: &str) -> Option<T> {
        let json = serde_json::to_vec(text).unwrap();
        read_alone(&json).ok()
    }

    #[test]
    fn names_are_trimmed_and_have_no_control_characters() {
        for (text, expect) in [
            (" a b\t", Some("a b")),
            ("\u{a0}ä\u{2028}", Some("ä")),
            ("", None),
            (" \n ", None),
            ("a\nb", None),
            ("a\u{85}b", None),
        ] {
            let name = read::<Name>(text).map(String::from);
            assert_eq!(name.as_deref(), expect, "{text:?}");
        }
        assert!(read::<Name>(&"ä".repeat(MAX_NAME)).is_some());
        assert!(read::<Name>(&"ä".repeat(MAX_NAME + 1)).is_none());
    }

    #[test]
    fn tags_have_no_commas_and_descriptions_an_end() {
        assert_eq!(read::<Tag>(" a ").as_deref(), Some("a"));
        assert!(read::<Tag>("a,b").is_none());
        assert!(read::<Description>("").is_some());
        assert!(read::<Description>("a\nb").is_some());
        assert!(read::<Description>(&"a".repeat(MAX_DESCRIPTION + 1)).is_none());
    }
}
