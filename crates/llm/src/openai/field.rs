//! The fields of a request that decide what it may do, and every way to spell them.

use crate::request::Name;

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
    SearchParameters = "search_parameters",
    EnableSearch = "enable_search",
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

/// Which governed field a name is, if any.
pub(super) fn spelling(name: &Name<'_>) -> Spelling {
    let exact = Field::ALL
        .iter()
        .find(|field| name.is_exactly(field.name()));
    if let Some(field) = exact {
        return Spelling::Exact(*field);
    }
    Field::ALL
        .iter()
        .find(|field| name.is_like(field.name()))
        .map_or(Spelling::Other, |field| Spelling::Variant(*field))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelling(json: &str) -> Spelling {
        super::spelling(&serde_json::from_str(json).unwrap())
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
