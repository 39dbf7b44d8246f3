//! The fields of a request that decide what it may do, and every way to spell them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

macro_rules! fields {
    ($($variant:ident = $name:literal,)+) => {
        /// A field that Tollgate judges. It may appear once, and only in its own spelling: a provider that reads names
        /// without case, or takes the first of two, would otherwise see another request than the one that was checked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field { $($variant,)+ }

        impl Field {
            /// Every field, in the order of declaration, which is its index.
            const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// How many there are.
            pub(super) const COUNT: usize = Self::ALL.len();

            /// The name on the wire.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

fields! {
    Model = "model",
    Messages = "messages",
    Stream = "stream",
    StreamOptions = "stream_options",
    MaxTokens = "max_tokens",
    MaxCompletionTokens = "max_completion_tokens",
    N = "n",
    Tools = "tools",
    Input = "input",
    ServiceTier = "service_tier",
    WebSearchOptions = "web_search_options",
    PreviousResponseId = "previous_response_id",
    Conversation = "conversation",
    Prompt = "prompt",
    Plugins = "plugins",
    Prediction = "prediction",
    BestOf = "best_of",
    NPredict = "n_predict",
    Models = "models",
    Fallbacks = "fallbacks",
}

/// How a name on the wire relates to the governed ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// The field itself.
    Exact(Field),
    /// Another spelling of the field: other case, a look-alike that case folding makes equal, or escapes.
    Variant(Field),
    /// No governed field.
    Other,
}

/// A member's name as it was sent.
#[derive(Debug)]
pub(super) struct Name<'a> {
    text: Cow<'a, str>,
    is_escaped: bool,
}

impl Name<'_> {
    /// Which governed field this is, if any.
    pub(super) fn spelling(&self) -> Spelling {
        for field in Field::ALL {
            if self.text == field.name() {
                return if self.is_escaped {
                    Spelling::Variant(*field)
                } else {
                    Spelling::Exact(*field)
                };
            }
        }
        Field::ALL
            .iter()
            .find(|field| self.is_like(field.name()))
            .map_or(Spelling::Other, |field| Spelling::Variant(*field))
    }

    /// Whether this is `name`, letter by letter and without escapes.
    pub(super) fn is_exactly(&self, name: &str) -> bool {
        !self.is_escaped && self.text == name
    }

    /// Whether a reader that folds case would take this for `name` (lowercase ASCII).
    pub(super) fn is_like(&self, name: &str) -> bool {
        if self.text.is_ascii() {
            return self.text.eq_ignore_ascii_case(name);
        }
        // The two characters outside ASCII that fold to an ASCII letter: long s and the Kelvin sign.
        let folded = self.text.chars().map(|letter| match letter {
            'ſ' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        });
        folded.eq(name.chars())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(json: &str) -> Spelling {
        serde_json::from_str::<Name<'_>>(json).unwrap().spelling()
    }

    #[test]
    fn every_spelling_is_recognised() {
        assert_eq!(spelling(r#""model""#), Spelling::Exact(Field::Model));
        for variant in [
            r#""Model""#,
            r#""MODEL""#,
            r#""mod\u0065l""#,
            r#""\u004dodel""#,
        ] {
            assert_eq!(
                spelling(variant),
                Spelling::Variant(Field::Model),
                "{variant}"
            );
        }
        assert_eq!(
            spelling(r#""max_to\u212aens""#),
            Spelling::Variant(Field::MaxTokens)
        );
        assert_eq!(
            spelling("\"\u{17f}tream\""),
            Spelling::Variant(Field::Stream)
        );
        for other in [r#""modell""#, r#""temperature""#, r#""""#, r#""модель""#] {
            assert_eq!(spelling(other), Spelling::Other, "{other}");
        }
    }

    #[test]
    fn the_order_of_declaration_is_the_index() {
        for (index, field) in Field::ALL.iter().enumerate() {
            assert_eq!(*field as usize, index);
        }
    }
}
