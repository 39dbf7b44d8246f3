//! When a failed delivery is tried again.

use uuid::Uuid;

use crate::config::Webhooks;

/// The pause after attempt number `attempt`, in microseconds: it doubles with each, up to the longest, and up to half of
/// it is cut off by chance, so that what failed together is not tried again together.
pub(super) fn pause(attempt: u32, settings: &Webhooks, random: Uuid) -> i64 {
    let first = settings.retry_initial.0.as_micros();
    let longest = settings.retry_max.0.as_micros();
    let doubled = first.saturating_mul(1_u128 << attempt.saturating_sub(1).min(63));
    let whole = i64::try_from(doubled.min(longest)).unwrap_or(i64::MAX);
    // The last bytes of an id are the random ones.
    let (_, random) = random.as_u64_pair();
    let cut =
        i128::from(whole / 2) * i128::from(random & u64::from(u32::MAX)) / i128::from(u32::MAX);
    whole - i64::try_from(cut).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Period;

    #[test]
    fn pauses_double_up_to_the_longest_and_lose_at_most_half() {
        let settings = Webhooks {
            retry_initial: Period::from_secs(10),
            retry_max: Period::from_secs(60),
            ..Webhooks::default()
        };
        let seconds =
            |attempt, random| pause(attempt, &settings, Uuid::from_u64_pair(0, random)) / 1_000_000;
        for (attempt, whole) in [(1, 10), (2, 20), (3, 40), (4, 60), (5, 60), (u32::MAX, 60)] {
            assert_eq!(seconds(attempt, 0), whole);
            assert_eq!(seconds(attempt, u64::MAX), whole / 2);
        }
        assert!((5..10).contains(&seconds(1, 1 << 31)));
    }
}
