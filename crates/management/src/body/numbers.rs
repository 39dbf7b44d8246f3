//! Numbers, exactly as they are written.

use tollgate_domain::Usd;
use tollgate_domain::money::{ParseUsdError, parse_scaled};
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat, Type,
};

use super::{FromJson, Node, Problems};
use crate::problem::TOO_PRECISE;

fn plain(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

impl FromJson for bool {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        match node.raw.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                node.wrong_type(problems, "a boolean");
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::Boolean).into()
    }
}

/// The digits of a number, exactly; `10^-scale` is one unit.
fn number(node: &Node<'_>, problems: &mut Problems, scale: u32, expected: &str) -> Option<i128> {
    if node.kind() != "a number" {
        node.wrong_type(problems, expected);
        return None;
    }
    match parse_scaled(node.raw.get(), scale) {
        Ok(value) => Some(value),
        Err(error) => {
            let shown: String = node.raw.get().chars().take(80).collect();
            if scale == 0 {
                problems.invalid(
                    node.pointer.as_str(),
                    format!("`{shown}` is not {expected}"),
                );
            } else {
                let code = match error {
                    ParseUsdError::TooFine => TOO_PRECISE,
                    _ => "invalid_value",
                };
                problems.push(node.pointer.as_str(), code, format!("`{shown}` {error}"));
            }
            None
        }
    }
}

macro_rules! integers {
    ($($ty:ty, $min:literal, $format:ident;)+) => {$(
        impl FromJson for $ty {
            fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
                let value = number(node, problems, 0, "a whole number")?;
                let fits = Self::try_from(value).ok().filter(|_| ($min..=i128::from(i64::MAX)).contains(&value));
                if fits.is_none() {
                    let largest = i128::from(i64::MAX).min(i128::from(Self::MAX));
                    problems.invalid(
                        node.pointer.as_str(),
                        format!("`{value}` is not between {} and {largest}", $min),
                    );
                }
                fits
            }

            fn schema() -> RefOr<Schema> {
                let largest = i64::try_from(Self::MAX).unwrap_or(i64::MAX);
                plain(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::$format)))
                    .minimum(Some(i64::try_from($min).unwrap_or(i64::MIN)))
                    .maximum(Some(largest))
                    .into()
            }
        }
    )+};
}

integers! {
    u64, 0, Int64;
    u32, 0, Int32;
    i64, -9_223_372_036_854_775_808_i128, Int64;
}

/// A whole number within these bounds, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Within<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32> FromJson for Within<LEAST, MOST> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let value = number(node, problems, 0, "a whole number")?;
        let fits = u32::try_from(value)
            .ok()
            .filter(|value| (LEAST..=MOST).contains(value));
        if fits.is_none() {
            problems.invalid(
                node.pointer.as_str(),
                format!("`{value}` is not between {LEAST} and {MOST}"),
            );
        }
        fits.map(Self)
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::Integer)
            .minimum(Some(LEAST))
            .maximum(Some(MOST))
            .into()
    }
}

/// Dollars, at least zero, with at most nine decimals.
impl FromJson for Usd {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let nanos = number(node, problems, 9, "an amount in US dollars")?;
        match i64::try_from(nanos) {
            Ok(nanos) if nanos >= 0 => Some(Self::from_nanos(nanos)),
            Ok(_) => {
                problems.invalid(node.pointer.as_str(), "an amount cannot be negative");
                None
            }
            Err(_) => {
                problems.invalid(
                    node.pointer.as_str(),
                    format!("an amount must lie between 0 and {}", Self::MAX),
                );
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::Number)
            .minimum(Some(0.0))
            .maximum(Some(9_223_372_036.0))
            .description(Some("US dollars, exact to nine decimals."))
            .into()
    }
}

/// A difference of dollars that is one, with at most nine decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delta(Usd);

impl Delta {
    pub(crate) const fn nanos(self) -> i64 {
        self.0.nanos()
    }
}

impl FromJson for Delta {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let nanos = number(node, problems, 9, "an amount in US dollars")?;
        // The smallest integer has no counterpart, so it stays out.
        let fits = i64::try_from(nanos)
            .ok()
            .filter(|nanos| *nanos != i64::MIN && *nanos != 0);
        if fits.is_none() {
            problems.invalid(
                node.pointer.as_str(),
                format!(
                    "a difference must lie between -{0} and {0} and cannot be 0",
                    Usd::MAX
                ),
            );
        }
        fits.map(|nanos| Self(Usd::from_nanos(nanos)))
    }

    fn schema() -> RefOr<Schema> {
        let side = || plain(Type::Number);
        OneOfBuilder::new()
            .item(
                side()
                    .minimum(Some(-9_223_372_036.0))
                    .exclusive_maximum(Some(0.0)),
            )
            .item(
                side()
                    .exclusive_minimum(Some(0.0))
                    .maximum(Some(9_223_372_036.0)),
            )
            .into()
    }
}

/// Orders things that are otherwise equal; larger first. Not money, so a float is exact enough.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Weight(pub(crate) f64);

impl FromJson for Weight {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if node.kind() != "a number" {
            node.wrong_type(problems, "a number");
            return None;
        }
        match node.raw.get().parse::<f64>() {
            Ok(weight) if (0.0..=1e9).contains(&weight) => Some(Self(weight)),
            _ => {
                problems.invalid(
                    node.pointer.as_str(),
                    "a weight must lie between 0 and 1000000000",
                );
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        plain(Type::Number)
            .minimum(Some(0.0))
            .maximum(Some(1e9))
            .into()
    }
}

/// The time between rotations in nanoseconds: 0 (off), or one hour to 365 days. Also read from `"30d"` and `"12h"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RotationInterval(pub(crate) i64);

/// Up to 8760 hours or 365 days.
const INTERVAL_PATTERN: &str = "^0*([0-9]{1,3}|[1-7][0-9]{3}|8[0-6][0-9]{2}|87[0-5][0-9]|8760)h$|^0*([0-9]{1,2}|[12][0-9]{2}|3[0-5][0-9]|36[0-5])d$";

const NANOS_PER_HOUR: i64 = 3_600_000_000_000;

impl FromJson for RotationInterval {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let nanos = if node.raw.get().starts_with('"') {
            let text = node.text(problems, "a duration")?;
            parse_hours(&text).and_then(|hours| hours.checked_mul(NANOS_PER_HOUR))
        } else {
            i64::try_from(number(node, problems, 0, "a whole number of nanoseconds")?).ok()
        };
        match nanos {
            Some(nanos) if nanos == 0 || is_allowed_interval(nanos) => Some(Self(nanos)),
            _ => {
                problems.invalid(
                    node.pointer.as_str(),
                    "a rotation interval is 0 (off) or lies between 1h and 365d, as `\"30d\"`, `\"12h\"` or nanoseconds",
                );
                None
            }
        }
    }

    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(
                plain(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                    .minimum(Some(NANOS_PER_HOUR))
                    .maximum(Some(365 * 24 * NANOS_PER_HOUR)),
            )
            .item(plain(Type::Integer).minimum(Some(0)).maximum(Some(0)))
            .item(
                plain(Type::String)
                    .pattern(Some(INTERVAL_PATTERN))
                    .examples(["12h", "30d"]),
            )
            .into()
    }
}

const fn is_allowed_interval(nanos: i64) -> bool {
    NANOS_PER_HOUR <= nanos && nanos <= 365 * 24 * NANOS_PER_HOUR
}

/// `12h` or `30d`, in hours.
pub(crate) fn parse_hours(text: &str) -> Option<i64> {
    let (digits, factor) = match text.strip_suffix('d') {
        Some(days) => (days, 24),
        None => (text.strip_suffix('h')?, 1),
    };
    let is_plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain
        .then(|| digits.parse::<i64>().ok())
        .flatten()?
        .checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::read_alone;

    fn check<T: FromJson + PartialEq + std::fmt::Debug>(text: &str, expect: Result<T, &str>) {
        let found = read_alone::<T>(text.as_bytes()).map_err(|problem| problem.message);
        assert_eq!(found, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn numbers_are_exact() {
        check("0.1", Ok(Usd::from_nanos(100_000_000)));
        check("1e-9", Ok(Usd::from_nanos(1)));
        check::<Usd>("-0.5", Err("an amount cannot be negative"));
        check::<Usd>(
            "0.0000000001",
            Err("`0.0000000001` has more than nine decimals; the smallest amount is 0.000000001"),
        );
        check(
            "18446744073709551615",
            Err::<u64, _>("`18446744073709551615` is not between 0 and 9223372036854775807"),
        );
        check("3.0", Ok(3_u64));
        check("3.5", Err::<u64, _>("`3.5` is not a whole number"));
        check(
            "\"3\"",
            Err::<u64, _>("expected a whole number, found a string"),
        );
    }

    #[test]
    fn rotation_intervals_have_three_spellings() {
        check("\"12h\"", Ok(RotationInterval(12 * NANOS_PER_HOUR)));
        check("\"30d\"", Ok(RotationInterval(720 * NANOS_PER_HOUR)));
        check("3600000000000", Ok(RotationInterval(NANOS_PER_HOUR)));
        check("0", Ok(RotationInterval(0)));
        for refused in [
            "\"30m\"",
            "\"366d\"",
            "1",
            "\"d\"",
            "\"-1d\"",
            "\"99999999999999999999h\"",
        ] {
            assert!(
                read_alone::<RotationInterval>(refused.as_bytes()).is_err(),
                "{refused}"
            );
        }
    }
}
