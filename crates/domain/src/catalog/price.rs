//! The price of one model, and the exact cost of a request.

use crate::money::Usd;
use crate::usage::{ServiceTier, TokenUsage};

/// Prices in pico-dollars per token, and per request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prices {
    /// Input.
    pub input: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache for five minutes.
    pub cache_write_5m: u64,
    /// Input written to a cache for an hour.
    pub cache_write_1h: u64,
    /// Audio in the input.
    pub audio_input: u64,
    /// Output.
    pub output: u64,
    /// Output spent on reasoning.
    pub reasoning: u64,
    /// Audio in the output.
    pub audio_output: u64,
    /// Once for each request.
    pub per_request: u64,
}

/// Prices for some of a model's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PriceTier {
    /// For requests that this tier served,
    pub service: ServiceTier,
    /// and whose input has more tokens than this. The whole request is priced so, not only what is above.
    pub above: u64,
    /// The prices.
    pub prices: Prices,
}

/// The prices of one model in every tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelPrice {
    /// What holds when no tier applies.
    pub base: Prices,
    /// The exceptions.
    pub tiers: Vec<PriceTier>,
}

impl Prices {
    /// One price for all input and one for all output.
    pub const fn flat(input: u64, output: u64) -> Self {
        Self {
            input,
            cache_read: input,
            cache_write_5m: input,
            cache_write_1h: input,
            audio_input: input,
            output,
            reasoning: output,
            audio_output: output,
            per_request: 0,
        }
    }

    /// The exact cost, in pico-dollars. It cannot overflow: nine products of 64-bit numbers fit 128 bits, but for
    /// absurd ones at the very end of the range, which are held there.
    pub fn picos(&self, usage: &TokenUsage) -> i128 {
        [
            (usage.input, self.input),
            (usage.cache_read, self.cache_read),
            (usage.cache_write_5m, self.cache_write_5m),
            (usage.cache_write_1h, self.cache_write_1h),
            (usage.audio_input, self.audio_input),
            (usage.output, self.output),
            (usage.reasoning, self.reasoning),
            (usage.audio_output, self.audio_output),
            (1, self.per_request),
        ]
        .into_iter()
        .map(|(count, price)| i128::from(count).saturating_mul(i128::from(price)))
        .fold(0, i128::saturating_add)
    }

    /// The dearest input token.
    pub fn dearest_input(&self) -> u64 {
        self.input
            .max(self.cache_read)
            .max(self.cache_write_5m)
            .max(self.cache_write_1h)
            .max(self.audio_input)
    }

    /// The dearest output token.
    pub fn dearest_output(&self) -> u64 {
        self.output.max(self.reasoning).max(self.audio_output)
    }

    /// The larger of both, kind by kind.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        Self {
            input: self.input.max(other.input),
            cache_read: self.cache_read.max(other.cache_read),
            cache_write_5m: self.cache_write_5m.max(other.cache_write_5m),
            cache_write_1h: self.cache_write_1h.max(other.cache_write_1h),
            audio_input: self.audio_input.max(other.audio_input),
            output: self.output.max(other.output),
            reasoning: self.reasoning.max(other.reasoning),
            audio_output: self.audio_output.max(other.audio_output),
            per_request: self.per_request.max(other.per_request),
        }
    }
}

impl ModelPrice {
    /// The same prices for every request.
    pub const fn flat(base: Prices) -> Self {
        Self {
            base,
            tiers: Vec::new(),
        }
    }

    /// The prices that hold for this usage, by its own service tier and context size. A service tier without a price
    /// of its own is charged as the standard one, and the fastest as the priority one where that has a price.
    pub fn prices_for(&self, usage: &TokenUsage) -> &Prices {
        let is_priced = |service| self.tiers.iter().any(|tier| tier.service == service);
        let service = match usage.tier {
            own if is_priced(own) => own,
            ServiceTier::Fast if is_priced(ServiceTier::Priority) => ServiceTier::Priority,
            _ => ServiceTier::Standard,
        };
        let context = usage.total_input();
        self.tiers
            .iter()
            .filter(|tier| tier.service == service && is_above(context, tier.above))
            .max_by_key(|tier| tier.above)
            .map_or(&self.base, |tier| &tier.prices)
    }

    /// The cost of a request: the exact sum, rounded up once.
    pub fn cost(&self, usage: &TokenUsage) -> Usd {
        Usd::from_picos_rounded_up(self.prices_for(usage).picos(usage))
    }

    /// The dearest prices, kind by kind, that a request can meet whose input has at most so many tokens: nothing this
    /// model does for it can cost more, whichever tier serves it.
    pub fn dearest_within(&self, input_tokens: u64) -> Prices {
        self.tiers
            .iter()
            .filter(|tier| is_above(input_tokens, tier.above))
            .fold(self.base, |dearest, tier| dearest.max(&tier.prices))
    }
}

/// Zero is no threshold: a request without input is in the tier as well.
const fn is_above(context: u64, above: u64) -> bool {
    above == 0 || context > above
}
