//! What a provider says that a request consumed.

use serde::{Deserialize, Serialize};

/// Tokens by kind, each counted once: the kinds do not overlap, whatever the provider's own report does.
///
/// The usage adapter of each wire format makes them disjoint (OpenAI reports cached tokens inside the input, Anthropic
/// outside; Gemini adds reasoning to the output, OpenAI includes it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Input tokens that were neither read from nor written to a cache, and are not audio.
    pub input: u64,
    /// Input tokens read from the provider's cache.
    pub cache_read: u64,
    /// Input tokens written to the cache for five minutes (or for the provider's only duration).
    pub cache_write_5m: u64,
    /// Input tokens written to the cache for an hour.
    pub cache_write_1h: u64,
    /// Audio in the input.
    pub audio_input: u64,
    /// Output tokens that are neither reasoning nor audio.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Audio in the output.
    pub audio_output: u64,
    /// The tier that served the request, as the provider's answer names it.
    pub tier: ServiceTier,
}

/// The service tier that an answer reports; it selects the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceTier {
    /// The ordinary one, also when the answer names none.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Collected and answered later.
    Batch,
    /// The fastest that a provider sells, at a price of its own.
    Fast,
}

impl ServiceTier {
    /// Every tier.
    pub const ALL: [Self; 5] = [
        Self::Standard,
        Self::Flex,
        Self::Priority,
        Self::Batch,
        Self::Fast,
    ];

    /// As the request log and the database write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Batch => "batch",
            Self::Fast => "fast",
        }
    }

    /// The tier that [`Self::as_str`] writes as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text)
    }
}

impl TokenUsage {
    /// All input tokens, cached or not. This is the size of the context, which selects price tiers.
    pub const fn total_input(&self) -> u64 {
        self.input
            .saturating_add(self.cache_read)
            .saturating_add(self.cache_write_5m)
            .saturating_add(self.cache_write_1h)
            .saturating_add(self.audio_input)
    }

    /// All output tokens.
    pub const fn total_output(&self) -> u64 {
        self.output
            .saturating_add(self.reasoning)
            .saturating_add(self.audio_output)
    }

    /// What token limits count: input and output together.
    pub const fn total(&self) -> u64 {
        self.total_input().saturating_add(self.total_output())
    }
}
