//! Numbers in usage reports: whatever a provider writes there, without a panic.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The largest count that is believed. No request comes near it: a lie beyond it would fill counters that the next
/// thousand requests have to fit into as well.
const MOST: u64 = 1 << 32;

/// A count as a provider reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Count {
    /// Not there, or null.
    #[default]
    Absent,
    /// So many.
    Known(u64),
    /// There, but no count: negative, fractional, beyond 2^32, or of another type. Spoils its report.
    Absurd,
}

impl Count {
    /// The count, or zero when it is not there; `None` when it is absurd.
    pub(super) const fn or_zero(self) -> Option<u64> {
        match self {
            Self::Absent => Some(0),
            Self::Known(count) => Some(count),
            Self::Absurd => None,
        }
    }

    /// This count, unless it is not there; then the other one.
    pub(super) const fn or(self, other: Self) -> Self {
        match self {
            Self::Absent => other,
            Self::Known(_) | Self::Absurd => self,
        }
    }

    /// Takes a later report of the same count: it wins when it says anything.
    pub(super) const fn update(&mut self, later: Self) {
        *self = later.or(*self);
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl<'de> Visitor<'de> for CountVisitor {
            type Value = Count;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a count")
            }

            fn visit_u64<E>(self, count: u64) -> Result<Count, E> {
                Ok(if count <= MOST {
                    Count::Known(count)
                } else {
                    Count::Absurd
                })
            }

            fn visit_i64<E>(self, count: i64) -> Result<Count, E> {
                Ok(u64::try_from(count).map_or(Count::Absurd, Count::Known))
            }

            // Some servers write every number as a float.
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "whole, not negative and at most 2^32, where floats are exact"
            )]
            fn visit_f64<E>(self, count: f64) -> Result<Count, E> {
                let is_count = count.fract() == 0.0 && (0.0..=MOST as f64).contains(&count);
                Ok(if is_count {
                    Count::Known(count as u64)
                } else {
                    Count::Absurd
                })
            }

            fn visit_unit<E>(self) -> Result<Count, E> {
                Ok(Count::Absent)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Count, E> {
                Ok(Count::Absurd)
            }

            fn visit_str<E>(self, _: &str) -> Result<Count, E> {
                Ok(Count::Absurd)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Count, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Count::Absurd)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Count, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Count::Absurd)
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_and_plausible_numbers_are_counts() {
        let read = |json: &str| serde_json::from_str::<Count>(json).unwrap();
        assert_eq!(read("12"), Count::Known(12));
        assert_eq!(read("12.0"), Count::Known(12));
        assert_eq!(read("4294967296"), Count::Known(MOST));
        assert_eq!(read("4294967296.0"), Count::Known(MOST));
        assert_eq!(read("null"), Count::Absent);
        for absurd in [
            "-1",
            "0.5",
            "1e300",
            "4294967297",
            "4294967297.0",
            "9007199254740993",
            "18446744073709551616",
            "\"7\"",
            "true",
            "[1]",
            "{\"a\":1}",
        ] {
            assert_eq!(read(absurd), Count::Absurd, "{absurd}");
        }
    }
}
