//! The limits that an answer's headers tell of.

use tollgate_domain::access::Need;
use tollgate_domain::limits::MeterKind;
use tollgate_domain::live::Count;
use tollgate_domain::{Timestamp, Usd};

/// One rate limit, as the headers show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// The limit.
    pub limit: i64,
    /// What is left, never less than zero.
    pub remaining: i64,
    /// Seconds until its window ends.
    pub reset_seconds: u64,
}

/// The tightest limit of each kind that a request touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Numbers {
    /// What is left of the tightest budget.
    pub budget_remaining: Option<Usd>,
    /// The tightest limit on requests.
    pub requests: Option<RateLimit>,
    /// The tightest limit on tokens.
    pub tokens: Option<RateLimit>,
}

impl Numbers {
    /// From the meters and their counts, one for each meter that differs from those before it.
    pub(crate) fn new(needs: &[Need], counts: &[Count], now: Timestamp) -> Self {
        let mut numbers = Self::default();
        let distinct = needs.iter().enumerate().filter(|(index, need)| {
            let is_same = |earlier: &Need| earlier.meter.id == need.meter.id;
            !needs[..*index].iter().any(is_same)
        });
        for ((_, need), count) in distinct.zip(counts) {
            numbers.take(need, *count, now);
        }
        numbers
    }

    pub(crate) fn take(&mut self, need: &Need, count: Count, now: Timestamp) {
        let meter = &need.meter;
        let limit = meter.effective_limit(now);
        let remaining = limit
            .saturating_sub(count.used)
            .saturating_sub(count.reserved)
            .max(0);
        let rate = || RateLimit {
            limit,
            remaining,
            reset_seconds: meter
                .window
                .as_ref()
                .map_or(0, |spec| now.seconds_until(spec.window(now).end)),
        };
        let tighter = |kept: Option<RateLimit>| kept.is_none_or(|kept| remaining < kept.remaining);
        match meter.id.kind {
            MeterKind::Money => {
                let remaining = Usd::from_nanos(remaining);
                let kept = self.budget_remaining.unwrap_or(Usd::MAX);
                self.budget_remaining = Some(kept.min(remaining));
            }
            MeterKind::Requests if tighter(self.requests) => self.requests = Some(rate()),
            MeterKind::Tokens if tighter(self.tokens) => self.tokens = Some(rate()),
            MeterKind::Requests | MeterKind::Tokens | MeterKind::Parallel => {}
        }
    }
}
