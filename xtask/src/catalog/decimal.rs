//! Prices from decimal text to integers, exactly.

use anyhow::{Context as _, bail};

/// Digits that survive a trip of a decimal through a double; what follows them is noise.
const HONEST_DIGITS: usize = 15;

/// A price in pico-dollars per unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Picos {
    pub(super) value: u64,
    /// The text was finer than a pico-dollar and has been rounded up.
    pub(super) is_rounded: bool,
}

/// Reads `text` as dollars per `10^per` units.
pub(super) fn picos(text: &str, per: i32) -> anyhow::Result<Picos> {
    parse(text.trim().trim_matches('"'), 12 - per)
        .with_context(|| format!("read the price `{text}`"))
}

/// Reads a decimal and multiplies it by `10^scale`.
fn parse(text: &str, scale: i32) -> anyhow::Result<Picos> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        bail!("not a decimal of at least zero");
    }
    let mut shift = exponent.trim_start_matches('+').parse::<i32>()? + scale;
    shift -= i32::try_from(fraction.len())?;

    let mut value: u128 = 0;
    let mut dropped = false;
    for (place, digit) in digits.bytes().enumerate() {
        let digit = u128::from(digit - b'0');
        if place < HONEST_DIGITS {
            value = value * 10 + digit;
        } else {
            // 0.30000000000000004 is the float nearest to 0.3, not a price.
            if place == HONEST_DIGITS && digit >= 5 {
                value += 1;
            }
            shift += 1;
        }
    }
    while shift < 0 {
        dropped |= !value.is_multiple_of(10);
        value /= 10;
        shift += 1;
    }
    if dropped {
        value += 1;
    }
    let factor = 10_u128
        .checked_pow(u32::try_from(shift)?)
        .context("too large")?;
    let value = value.checked_mul(factor).context("too large")?;
    Ok(Picos {
        value: u64::try_from(value)?,
        is_rounded: dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, per: i32, value: u64, is_rounded: bool) {
        assert_eq!(
            picos(text, per).unwrap(),
            Picos { value, is_rounded },
            "{text}"
        );
    }

    #[test]
    fn decimals_become_exact_integers() {
        check("2.5e-06", 0, 2_500_000, false);
        check("0.0000025", 0, 2_500_000, false);
        check("\"3E-7\"", 0, 300_000, false);
        check("3", 6, 3_000_000, false);
        check("0.125", 6, 125_000, false);
        check("10", 3, 10_000_000_000, false);
        check("0.0", 0, 0, false);
        check("1e-12", 0, 1, false);
    }

    #[test]
    fn float_noise_is_not_a_price() {
        check("1.1000000000000001e-07", 0, 110_000, false);
        check("4.9999999999999998e-08", 0, 50_000, false);
    }

    #[test]
    fn finer_than_a_pico_is_rounded_up_and_said() {
        check("1.4285714e-12", 0, 2, true);
        check("0.1428571428571428", 6, 142_858, true);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["-1", "one", "1e400", "1.2.3", "NaN"] {
            assert!(picos(text, 0).is_err(), "{text}");
        }
    }
}
