//! Secrets at rest: AES-256-GCM under the master key, bound to the place where they are stored.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::error::{Result, StorageError};

/// The length of a master key in bytes.
pub const MASTER_KEY_BYTES: usize = 32;

/// Bytes of the nonce that AES-GCM uses.
const NONCE_BYTES: usize = 12;

/// Seals secrets before they are written and opens them after they were read.
///
/// A sealed text is `<key id>.<base64>`; the key id says which master key it needs, so that keys can be rotated. The
/// place (table, row, column) is authenticated too: a sealed text that is moved to another row does not open.
pub struct Vault {
    active: MasterKey,
    older: Vec<MasterKey>,
}

struct MasterKey {
    id: String,
    key: RandomizedNonceKey,
}

/// Why a master key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 32 bytes long, written as 64 hexadecimal digits or as base64")]
pub struct InvalidMasterKey;

/// Shows no key.
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("active", &self.active.id)
            .field("older", &self.older.len())
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// A vault that seals with `master`.
    ///
    /// # Errors
    /// When the key has the wrong length.
    pub fn new(master: &[u8]) -> std::result::Result<Self, InvalidMasterKey> {
        Ok(Self {
            active: MasterKey::new(master)?,
            older: Vec::new(),
        })
    }

    /// The same vault, which also opens what was sealed with `master`, an older key.
    ///
    /// # Errors
    /// When the key has the wrong length.
    pub fn with_older(mut self, master: &[u8]) -> std::result::Result<Self, InvalidMasterKey> {
        self.older.push(MasterKey::new(master)?);
        Ok(self)
    }

    /// Reads a master key as people write it: 64 hexadecimal digits, or base64 of 32 bytes.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse_master_key(
        text: &str,
    ) -> std::result::Result<Zeroizing<[u8; MASTER_KEY_BYTES]>, InvalidMasterKey> {
        let text = text.trim();
        let mut key = Zeroizing::new([0; MASTER_KEY_BYTES]);
        if text.len() == 2 * MASTER_KEY_BYTES {
            for (byte, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
                let pair = std::str::from_utf8(pair).map_err(|_| InvalidMasterKey)?;
                *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidMasterKey)?;
            }
            return Ok(key);
        }
        let bytes = STANDARD_NO_PAD
            .decode(text.trim_end_matches('='))
            .map(Zeroizing::new)
            .map_err(|_| InvalidMasterKey)?;
        if bytes.len() != MASTER_KEY_BYTES {
            return Err(InvalidMasterKey);
        }
        key.copy_from_slice(&bytes);
        Ok(key)
    }

    /// A new random master key, as hexadecimal digits.
    ///
    /// # Errors
    /// When the host gives no randomness.
    pub fn generate_master_key() -> Result<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0_u8; MASTER_KEY_BYTES]);
        rand::fill(bytes.as_mut_slice()).map_err(|_| StorageError::Sealed)?;
        Ok(Zeroizing::new(hex(bytes.as_slice())))
    }

    /// Names the key that this vault seals with; tells nothing about the key.
    pub fn key_id(&self) -> &str {
        &self.active.id
    }

    /// Whether `sealed` was sealed with the active key.
    pub(crate) fn is_current(&self, sealed: &str) -> bool {
        sealed
            .split_once('.')
            .is_some_and(|(id, _)| id == self.active.id)
    }

    /// Seals `secret` for the place `table/row/column`.
    pub(crate) fn seal(&self, place: &Place<'_>, secret: &SecretString) -> Result<String> {
        let mut buffer = secret.expose_secret().as_bytes().to_vec();
        let nonce = self
            .active
            .key
            .seal_in_place_append_tag(Aad::from(place.bytes(&self.active.id)), &mut buffer)
            .map_err(|_| StorageError::Sealed)?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut buffer);
        Ok(format!(
            "{}.{}",
            self.active.id,
            STANDARD_NO_PAD.encode(sealed)
        ))
    }

    /// Opens what was sealed for the same place.
    pub(crate) fn open(&self, place: &Place<'_>, sealed: &str) -> Result<SecretString> {
        let (id, text) = sealed.split_once('.').ok_or(StorageError::Sealed)?;
        let master = std::iter::once(&self.active)
            .chain(&self.older)
            .find(|key| key.id == id)
            .ok_or(StorageError::Sealed)?;
        let bytes = STANDARD_NO_PAD
            .decode(text)
            .map_err(|_| StorageError::Sealed)?;
        let (nonce, sealed) = bytes
            .split_at_checked(NONCE_BYTES)
            .ok_or(StorageError::Sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| StorageError::Sealed)?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let plain = master
            .key
            .open_in_place(nonce, Aad::from(place.bytes(id)), &mut buffer)
            .map_err(|_| StorageError::Sealed)?;
        std::str::from_utf8(plain)
            .map(SecretString::from)
            .map_err(|_| StorageError::Sealed)
    }
}

impl MasterKey {
    fn new(bytes: &[u8]) -> std::result::Result<Self, InvalidMasterKey> {
        // The id is cut from a hash of the key with a label of its own; 32 bits tell nothing about 256 random ones.
        let mut labelled = Zeroizing::new(b"tollgate master key id\0".to_vec());
        labelled.extend_from_slice(bytes);
        let hash = digest::digest(&digest::SHA256, &labelled);
        Ok(Self {
            id: hex(hash.as_ref().get(..4).unwrap_or_default()),
            key: RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| InvalidMasterKey)?,
        })
    }
}

/// Where a secret is stored.
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    pub(crate) row: &'a str,
}

impl Place<'_> {
    /// Neither tables, columns nor key ids contain a slash, so two places never have the same bytes.
    fn bytes(&self, key_id: &str) -> Vec<u8> {
        format!("{key_id}/{}/{}/{}", self.table, self.column, self.row).into_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(row: &str) -> Place<'_> {
        Place {
            table: "provider_keys",
            column: "value_sealed",
            row,
        }
    }

    #[test]
    fn sealed_secrets_open_only_in_their_place_and_with_their_key() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal(&place("pk_1"), &"sk-secret".into()).unwrap();
        assert!(!sealed.contains("secret"));
        let opened = vault.open(&place("pk_1"), &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "sk-secret");
        assert!(vault.open(&place("pk_2"), &sealed).is_err());

        let other = Vault::new(&[8; 32]).unwrap();
        assert!(other.open(&place("pk_1"), &sealed).is_err());
        let rotated = other.with_older(&[7; 32]).unwrap();
        assert!(rotated.open(&place("pk_1"), &sealed).is_ok());
        assert!(!rotated.is_current(&sealed));
    }

    #[test]
    fn two_seals_of_one_secret_differ() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let seal = || vault.seal(&place("pk_1"), &"x".into()).unwrap();
        assert_ne!(seal(), seal());
    }

    #[test]
    fn damaged_text_does_not_open() {
        let vault = Vault::new(&[7; 32]).unwrap();
        let sealed = vault.seal(&place("pk_1"), &"x".into()).unwrap();
        for bad in ["", ".", "abc", &sealed[..12], &format!("{sealed}AA")] {
            assert!(vault.open(&place("pk_1"), bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn master_keys_read_as_hex_and_base64() {
        let hex = "07".repeat(32);
        assert_eq!(*Vault::parse_master_key(&hex).unwrap(), [7; 32]);
        let base64 = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        assert_eq!(*Vault::parse_master_key(base64).unwrap(), [7; 32]);
        for bad in ["", "07", "zz", &"0g".repeat(32)] {
            assert!(Vault::parse_master_key(bad).is_err(), "{bad}");
        }
        let made = Vault::generate_master_key().unwrap();
        assert!(Vault::parse_master_key(&made).is_ok());
    }

    #[test]
    fn debug_shows_no_key() {
        let vault = Vault::new(b"0123456789abcdef0123456789abcdef").unwrap();
        assert!(!format!("{vault:?}").contains("0123456789"));
    }
}
