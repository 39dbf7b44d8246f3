//! Secrets are shown once, so an answer that is kept has none.

use crate::secrets::{MANAGEMENT_KEY_PREFIX, VIRTUAL_KEY_PREFIX};

/// A run of letters and digits this long after one of our prefixes is a secret.
const SECRET_LENGTH: usize = 20;

/// The text without the secrets that it shows: they are shown once.
pub(super) fn mask_secrets(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, prefix)) = [VIRTUAL_KEY_PREFIX, MANAGEMENT_KEY_PREFIX]
        .into_iter()
        .filter_map(|prefix| rest.find(prefix).map(|at| (at, prefix)))
        .min()
    {
        let (before, found) = rest.split_at(at);
        let digits = found.get(prefix.len()..).unwrap_or_default();
        let length = digits.bytes().take_while(u8::is_ascii_alphanumeric).count();
        masked.push_str(before);
        masked.push_str(prefix);
        if length >= SECRET_LENGTH {
            masked.push('…');
        } else {
            masked.push_str(digits.get(..length).unwrap_or_default());
        }
        rest = digits.get(length..).unwrap_or_default();
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_the_rest_stays() {
        let secret = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
        let text = format!(
            r#"{{"a":"sk-tg-{secret}","b":"tgm-{secret}","c":"sk-tg-0123…WXYZ","d":1.50}}"#
        );
        assert_eq!(
            mask_secrets(&text),
            r#"{"a":"sk-tg-…","b":"tgm-…","c":"sk-tg-0123…WXYZ","d":1.50}"#
        );
        assert_eq!(mask_secrets("nothing"), "nothing");
    }
}
