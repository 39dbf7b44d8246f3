//! A tokenizer that needs no vocabulary.

/// Longest token, in characters, without the white space before it.
const MAX_CHARS: usize = 4;

/// Cuts text into tokens: white space goes with what follows it, words fall into pieces of four letters, signs stand
/// alone. Put together again, the tokens are the text.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (token, after) = rest.split_at(token_len(rest));
        rest = after;
        (!token.is_empty()).then_some(token)
    })
}

fn token_len(text: &str) -> usize {
    let mut letters = 0;
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() && letters == 0 {
            continue;
        }
        if !letter.is_alphanumeric() {
            return if letters == 0 {
                at + letter.len_utf8()
            } else {
                at
            };
        }
        if letters == MAX_CHARS {
            return at;
        }
        letters += 1;
    }
    text.len()
}

/// How many tokens the sandbox counts in a text.
pub fn count_tokens(text: &str) -> u64 {
    tokens(text).count() as u64
}

/// The beginning of a text that has at most so many tokens.
pub(super) fn truncate(text: &str, most: u64) -> &str {
    let mut len = 0;
    for (token, number) in tokens(text).zip(1..) {
        if number > most {
            return &text[..len];
        }
        len += token.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_fall_into_pieces_and_signs_stand_alone() {
        let cut = |text| tokens(text).collect::<Vec<_>>();
        assert_eq!(cut("Hello, world!"), ["Hell", "o", ",", " worl", "d", "!"]);
        assert_eq!(cut("  a\n"), ["  a", "\n"]);
        assert_eq!(cut(""), [""; 0]);
        assert_eq!(cut("Größe"), ["Größ", "e"]);
        assert_eq!(truncate("Hello, world!", 3), "Hello,");
        assert_eq!(truncate("Hello", 0), "");
    }

    proptest! {
        #[test]
        fn tokens_put_together_are_the_text(text in "\\PC{0,60}", most in 0_u64..20) {
            prop_assert_eq!(tokens(&text).collect::<String>(), text.clone());
            prop_assert!(count_tokens(&text) <= text.len() as u64);
            let cut = truncate(&text, most);
            prop_assert!(text.starts_with(cut));
            prop_assert_eq!(count_tokens(cut), count_tokens(&text).min(most));
        }
    }
}
