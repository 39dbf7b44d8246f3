//! Types of single values.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de};

/// A secret: `Debug` shows only that it is set.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Takes a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text, for the one place that uses it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// For an interface that takes secrets.
    pub fn into_inner(self) -> SecretString {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// A length of time, written with its unit: `100ms`, `30s`, `5m`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Period(pub Duration);

impl Period {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || format!("`{text}` is not a length of time such as `100ms`, `30s` or `5m`");
        if text.trim() == "0" {
            return Ok(Self(Duration::ZERO));
        }
        let signed: jiff::SignedDuration = text.parse().map_err(|_| refuse())?;
        Duration::try_from(signed).map(Self).map_err(|_| refuse())
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_carry_a_unit() {
        for (text, millis) in [("100ms", 100), ("30s", 30_000), ("5m", 300_000), ("0", 0)] {
            assert_eq!(text.parse::<Period>().unwrap(), Period::from_millis(millis));
        }
        for bad in ["", "30", "-1s", "soon"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
