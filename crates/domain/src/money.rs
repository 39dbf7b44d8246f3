//! Money in integers. No float ever holds an amount.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Nano-dollars in a dollar.
pub const NANOS_PER_USD: i64 = 1_000_000_000;
/// Pico-dollars in a nano-dollar.
pub const PICOS_PER_NANO: i128 = 1_000;

/// An amount of US dollars, in nano-dollars (1e-9 USD).
///
/// Sums saturate at the ends of the range (about 9.2 billion dollars), so that an absurd amount refuses instead of
/// wrapping round into credit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usd(i64);

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The largest amount.
    pub const MAX: Self = Self(i64::MAX);

    /// An amount from nano-dollars.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The amount in nano-dollars.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Rounds an exact sum of pico-dollars up to a nano-dollar: the one rounding in the life of a cost.
    pub fn from_picos_rounded_up(picos: i128) -> Self {
        let nanos =
            picos.div_euclid(PICOS_PER_NANO) + i128::from(picos.rem_euclid(PICOS_PER_NANO) != 0);
        Self(i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX }))
    }

    /// The sum, held at the ends of the range.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the ends of the range.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// The nearest float, for JSON numbers in answers and for metrics. Never read back.
    #[expect(
        clippy::cast_precision_loss,
        reason = "display only; nine decimals survive up to nine million dollars"
    )]
    pub fn as_f64(self) -> f64 {
        self.0 as f64 / NANOS_PER_USD as f64
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

/// Plain decimal dollars without trailing zeros: `0.0025`, `12`, `-1.5`. Reads back to the same amount.
/// Digits after the point.
const DECIMALS: usize = 9;
/// Bytes of the longest amount: a sign, ten digits, a point and the decimals.
const LONGEST: usize = 1 + 10 + 1 + DECIMALS;

/// The last digit of a number.
fn digit(number: u64) -> u8 {
    b'0' + (number % 10).to_le_bytes()[0]
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every answer says what it cost and what is left, so this does without the formatting of numbers.
        let mut text = [0_u8; LONGEST];
        let mut start = text.len();
        let mut put = |byte: u8| {
            start -= 1;
            text[start] = byte;
        };
        let nanos_per_usd = NANOS_PER_USD.unsigned_abs();
        let magnitude = self.0.unsigned_abs();
        let (mut whole, mut fraction) = (magnitude / nanos_per_usd, magnitude % nanos_per_usd);
        let mut is_significant = false;
        if fraction > 0 {
            for _ in 0..DECIMALS {
                is_significant |= !fraction.is_multiple_of(10);
                if is_significant {
                    put(digit(fraction));
                }
                fraction /= 10;
            }
            put(b'.');
        }
        loop {
            put(digit(whole));
            whole /= 10;
            if whole == 0 {
                break;
            }
        }
        if self.0 < 0 {
            put(b'-');
        }
        f.write_str(std::str::from_utf8(&text[start..]).unwrap_or_default())
    }
}

impl fmt::Debug for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${self}")
    }
}

/// Why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseUsdError {
    /// Not a decimal number.
    #[error("is not a decimal number")]
    NotDecimal,
    /// More than nine decimals.
    #[error("has more than nine decimals; the smallest amount is 0.000000001")]
    TooFine,
    /// Beyond the range of [`Usd`].
    #[error("is beyond the largest amount, 9223372036.854775807")]
    TooLarge,
}

/// Reads a JSON number or a plain decimal (`12`, `0.5`, `1e-3`) exactly, never through a float.
impl FromStr for Usd {
    type Err = ParseUsdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let nanos = parse_scaled(text, 9)?;
        i64::try_from(nanos)
            .map(Self)
            .map_err(|_| ParseUsdError::TooLarge)
    }
}

/// Reads a decimal text as an integer of `10^-scale` units, exactly.
///
/// # Errors
/// When the text is no decimal number, is finer than the unit, or does not fit.
pub fn parse_scaled(text: &str, scale: u32) -> Result<i128, ParseUsdError> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (
            &text[..at],
            text[at + 1..]
                .parse::<i32>()
                .map_err(|_| ParseUsdError::NotDecimal)?,
        ),
        None => (text, 0),
    };
    let (negative, digits) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && fraction.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return Err(ParseUsdError::NotDecimal);
    }
    let significant = [whole, fraction].concat();
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Ok(0);
    }
    let trimmed = significant.trim_end_matches('0');
    let dropped =
        i64::try_from(significant.len() - trimmed.len()).map_err(|_| ParseUsdError::TooLarge)?;
    let decimals = i64::try_from(fraction.len()).map_err(|_| ParseUsdError::TooFine)?;
    let shift = i64::from(exponent) - decimals + dropped + i64::from(scale);
    let value: i128 = trimmed.parse().map_err(|_| {
        if shift < 0 {
            ParseUsdError::TooFine
        } else {
            ParseUsdError::TooLarge
        }
    })?;
    if shift < 0 {
        return Err(ParseUsdError::TooFine);
    }
    let factor = u32::try_from(shift)
        .ok()
        .and_then(|shift| 10_i128.checked_pow(shift))
        .ok_or(ParseUsdError::TooLarge)?;
    let scaled = value.checked_mul(factor).ok_or(ParseUsdError::TooLarge)?;
    Ok(if negative { -scaled } else { scaled })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expect: Result<i64, ParseUsdError>) {
        assert_eq!(text.parse::<Usd>().map(Usd::nanos), expect, "{text}");
    }

    #[test]
    fn amounts_are_written_without_trailing_zeros() {
        let written = |nanos| Usd::from_nanos(nanos).to_string();
        assert_eq!(written(0), "0");
        assert_eq!(written(1), "0.000000001");
        assert_eq!(written(-1_500_000_000), "-1.5");
        assert_eq!(written(120 * NANOS_PER_USD), "120");
        assert_eq!(written(i64::MAX), "9223372036.854775807");
        assert_eq!(written(i64::MIN), "-9223372036.854775808");
    }

    #[test]
    fn decimals_are_read_exactly() {
        check("1", Ok(NANOS_PER_USD));
        check("0.000000001", Ok(1));
        check("1e-9", Ok(1));
        check("2.5E2", Ok(250 * NANOS_PER_USD));
        check("1.10000000000", Ok(1_100_000_000));
        check("-3.5", Ok(-3_500_000_000));
        check("9223372036.854775807", Ok(i64::MAX));
        check("0e99999", Ok(0));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in [
            "",
            ".",
            "-",
            "1,5",
            "0x1",
            "NaN",
            "1e",
            "١",
            "1e99999999999",
            "--1",
            "+1",
        ] {
            check(text, Err(ParseUsdError::NotDecimal));
        }
        check("0.0000000001", Err(ParseUsdError::TooFine));
        check("1e-10", Err(ParseUsdError::TooFine));
        check("9223372036.854775808", Err(ParseUsdError::TooLarge));
        check("1e300", Err(ParseUsdError::TooLarge));
    }

    #[test]
    fn a_cost_rounds_up_once() {
        assert_eq!(Usd::from_picos_rounded_up(0).nanos(), 0);
        assert_eq!(Usd::from_picos_rounded_up(1).nanos(), 1);
        assert_eq!(Usd::from_picos_rounded_up(1_000).nanos(), 1);
        assert_eq!(Usd::from_picos_rounded_up(1_001).nanos(), 2);
        assert_eq!(Usd::from_picos_rounded_up(i128::MAX), Usd::MAX);
    }

    proptest! {
        #[test]
        fn every_amount_reads_back(nanos: i64) {
            let amount = Usd::from_nanos(nanos);
            prop_assert_eq!(amount.to_string().parse::<Usd>(), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Usd>();
        }
    }
}
