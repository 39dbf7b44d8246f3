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

/// The prices of one model in every tier.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelPrice {
    /// What holds when no tier applies.
    pub base: Prices,
    /// Prices for the whole request when its input is larger than so many tokens, ascending.
    pub above_context: Vec<(u64, Prices)>,
    /// Prices by service tier; they win over the context tiers.
    pub service_tiers: Vec<(ServiceTier, Prices)>,
}

impl Prices {
    /// The exact cost, in pico-dollars.
    pub fn picos(&self, usage: &TokenUsage) -> i128 {
        let part = |tokens: u64, price: u64| i128::from(tokens) * i128::from(price);
        part(usage.input, self.input)
            + part(usage.cache_read, self.cache_read)
            + part(usage.cache_write_5m, self.cache_write_5m)
            + part(usage.cache_write_1h, self.cache_write_1h)
            + part(usage.audio_input, self.audio_input)
            + part(usage.output, self.output)
            + part(usage.reasoning, self.reasoning)
            + part(usage.audio_output, self.audio_output)
            + i128::from(self.per_request)
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
}

impl ModelPrice {
    /// The prices that hold for this usage, by its own service tier and context size.
    pub fn prices_for(&self, usage: &TokenUsage) -> &Prices {
        let by_tier = self
            .service_tiers
            .iter()
            .find(|(tier, _)| *tier == usage.tier)
            .map(|(_, prices)| prices);
        let context = usage.total_input();
        let by_context = || {
            self.above_context
                .iter()
                .rev()
                .find(|(above, _)| context > *above)
                .map(|(_, prices)| prices)
        };
        by_tier.or_else(by_context).unwrap_or(&self.base)
    }

    /// The cost of a request: the exact sum, rounded up once.
    pub fn cost(&self, usage: &TokenUsage) -> Usd {
        Usd::from_picos_rounded_up(self.prices_for(usage).picos(usage))
    }

    /// The dearest prices that any tier has, kind by kind: nothing this model does can cost more.
    pub fn dearest(&self) -> Prices {
        let mut all = vec![&self.base];
        all.extend(self.above_context.iter().map(|(_, prices)| prices));
        all.extend(self.service_tiers.iter().map(|(_, prices)| prices));
        let most =
            |price: fn(&Prices) -> u64| all.iter().map(|prices| price(prices)).max().unwrap_or(0);
        Prices {
            input: most(|prices| prices.input),
            cache_read: most(|prices| prices.cache_read),
            cache_write_5m: most(|prices| prices.cache_write_5m),
            cache_write_1h: most(|prices| prices.cache_write_1h),
            audio_input: most(|prices| prices.audio_input),
            output: most(|prices| prices.output),
            reasoning: most(|prices| prices.reasoning),
            audio_output: most(|prices| prices.audio_output),
            per_request: most(|prices| prices.per_request),
        }
    }
}
