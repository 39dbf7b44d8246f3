//! The secrets that Tollgate issues, and the names of secrets that it is told.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use tollgate_domain::snapshot::KeyHash;

use crate::problem::Problem;

/// What every virtual key starts with.
pub const VIRTUAL_KEY_PREFIX: &str = "sk-tg-";
/// What every management key starts with.
pub const MANAGEMENT_KEY_PREFIX: &str = "tgm-";

/// Digits of a secret: letters and digits only, so that a double click selects all of it.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits needed for 256 bits in base 62.
const SECRET_DIGITS: usize = 43;
/// How much of a secret's start and end a masked value shows.
const SHOWN_DIGITS: usize = 4;

/// Where randomness comes from.
pub trait SecretSource: Send + Sync {
    /// Fills `bytes` with unpredictable ones.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    fn fill(&self, bytes: &mut [u8; 32]) -> Result<(), NoRandomness>;
}

/// The system's generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoRandomness;

/// The random generator of the operating system.
#[derive(Debug, Default)]
pub struct SystemSecrets(SystemRandom);

impl SystemSecrets {
    /// A source of its own.
    pub fn new() -> Self {
        Self::default()
    }
}

impl SecretSource for SystemSecrets {
    fn fill(&self, bytes: &mut [u8; 32]) -> Result<(), NoRandomness> {
        self.0.fill(bytes).map_err(|_| NoRandomness)
    }
}

/// A secret just made: shown to its owner once, and kept only as a hash.
#[derive(Debug)]
pub struct NewSecret {
    /// The whole of it.
    pub value: SecretString,
    /// What is stored.
    pub hash: KeyHash,
    /// What may be shown later.
    pub masked: String,
}

impl NewSecret {
    /// A new secret with this prefix and 256 random bits.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(prefix: &str, source: &dyn SecretSource) -> Result<Self, NoRandomness> {
        let mut bytes = [0_u8; 32];
        source.fill(&mut bytes)?;
        let text = format!("{prefix}{}", base62(bytes));
        Ok(Self {
            hash: hash_secret(&text),
            masked: mask(&text, prefix),
            value: SecretString::from(text),
        })
    }

    /// The text, for the one answer that shows it.
    pub(crate) fn reveal(&self) -> String {
        self.value.expose_secret().to_owned()
    }
}

/// A secret that the operator chose, in the form in which it is stored. For the first management key.
pub fn describe_secret(text: &str, prefix: &str) -> (KeyHash, String) {
    (hash_secret(text), mask(text, prefix))
}

/// SHA-256. Our secrets have 256 random bits, so nothing slower is needed, and looking a secret up by its hash takes the
/// same time whatever it shares with one that exists.
pub fn hash_secret(text: &str) -> KeyHash {
    hash_bytes(text.as_bytes())
}

/// SHA-256.
pub(crate) fn hash_bytes(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

/// The prefix, a few digits, and no more than that.
fn mask(text: &str, prefix: &str) -> String {
    let digits: Vec<char> = text.strip_prefix(prefix).unwrap_or(text).chars().collect();
    if digits.len() < 4 * SHOWN_DIGITS {
        return format!("{prefix}…");
    }
    let start: String = digits[..SHOWN_DIGITS].iter().collect();
    let end: String = digits[digits.len() - SHOWN_DIGITS..].iter().collect();
    format!("{prefix}{start}…{end}")
}

/// The number that the bytes are, most significant digit first, in a fixed number of digits.
fn base62(mut bytes: [u8; 32]) -> String {
    let mut digits = [b'0'; SECRET_DIGITS];
    for digit in digits.iter_mut().rev() {
        let mut remainder = 0_u32;
        for byte in &mut bytes {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
            remainder = value % 62;
        }
        let index = usize::try_from(remainder).unwrap_or(0);
        *digit = ALPHABET.get(index).copied().unwrap_or(b'0');
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// Which environment variables a provider's key may name, so that nobody reads Tollgate's own secrets through the API.
#[derive(Debug, Clone)]
pub struct EnvironmentNames {
    patterns: Vec<String>,
}

impl Default for EnvironmentNames {
    fn default() -> Self {
        Self {
            patterns: vec!["*_API_KEY".to_owned()],
        }
    }
}

impl EnvironmentNames {
    /// Allows the names that match one of the patterns, in which `*` stands for any text. Names of Tollgate's own
    /// variables are never allowed.
    pub const fn new(patterns: Vec<String>) -> Self {
        Self { patterns }
    }

    /// Whether a provider's key may be `env.<name>`.
    pub fn allow(&self, name: &str) -> bool {
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name
            && !name.to_ascii_uppercase().starts_with("TOLLGATE_")
            && self.patterns.iter().any(|pattern| matches(pattern, name))
    }

    /// For messages.
    pub(crate) fn describe(&self) -> String {
        self.patterns.join("`, `")
    }
}

/// Whether `name` matches a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len()).any(|at| tail.get(at..).is_some_and(|tail| matches(rest, tail)))
        }),
    }
}

impl From<NoRandomness> for Problem {
    fn from(error: NoRandomness) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl SecretSource for Fixed {
        fn fill(&self, bytes: &mut [u8; 32]) -> Result<(), NoRandomness> {
            *bytes = [self.0; 32];
            Ok(())
        }
    }

    #[test]
    fn secrets_have_a_fixed_length_and_are_masked() {
        for byte in [0, 1, 255] {
            let secret = NewSecret::generate(VIRTUAL_KEY_PREFIX, &Fixed(byte)).unwrap();
            let text = secret.reveal();
            assert_eq!(text.len(), VIRTUAL_KEY_PREFIX.len() + SECRET_DIGITS);
            assert_eq!(secret.hash, hash_secret(&text));
            assert!(!format!("{secret:?}").contains(&text));
            assert_eq!(
                secret.masked,
                format!("{}…{}", &text[..10], &text[text.len() - 4..])
            );
        }
        let largest = NewSecret::generate("", &Fixed(255)).unwrap().reveal();
        assert!(largest > NewSecret::generate("", &Fixed(254)).unwrap().reveal());
    }

    #[test]
    fn short_secrets_show_nothing() {
        assert_eq!(describe_secret("tgm-short", "tgm-").1, "tgm-…");
    }

    #[test]
    fn only_allowed_variables_can_be_named() {
        let names = EnvironmentNames::default();
        assert!(names.allow("OPENAI_API_KEY"));
        for refused in [
            "PATH",
            "TOLLGATE_API_KEY",
            "tollgate_API_KEY",
            "A-B_API_KEY",
            "",
        ] {
            assert!(!names.allow(refused), "{refused}");
        }
        assert!(EnvironmentNames::new(vec!["A*C*".to_owned()]).allow("ABCD"));
    }
}
