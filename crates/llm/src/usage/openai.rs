//! OpenAI's report, and the many that look like it.
//!
//! - Cached and cache-written tokens are inside `prompt_tokens`. DeepSeek names the cached ones
//!   `prompt_cache_hit_tokens`, Moonshot `cached_tokens`, LiteLLM and OpenRouter also say what was written.
//! - Reasoning is inside `completion_tokens` at OpenAI, beside it at xAI, and at Gemini's compatible endpoint it is only
//!   the difference to `total_tokens`. The total decides: what it holds beyond prompt and completion is reasoning.
//! - The responses API and some embedding servers say `input_tokens` and `output_tokens`.
//! - Groq repeats the report of a stream in `x_groq`.

use serde::Deserialize;
use tollgate_domain::TokenUsage;
use tollgate_domain::usage::ServiceTier;

use super::count::Count;
use super::first_value;

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Report {
    prompt_tokens: Count,
    completion_tokens: Count,
    input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    prompt_tokens_details: Option<InputDetails>,
    input_tokens_details: Option<InputDetails>,
    completion_tokens_details: Option<OutputDetails>,
    output_tokens_details: Option<OutputDetails>,
    prompt_cache_hit_tokens: Count,
    cached_tokens: Count,
    cache_creation_input_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct InputDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
    cache_creation_tokens: Count,
    audio_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Count,
    audio_tokens: Count,
}

impl Report {
    fn usage(&self, tier: ServiceTier) -> Option<TokenUsage> {
        let input = self.prompt_tokens.or(self.input_tokens).or_zero()?;
        let output = self.completion_tokens.or(self.output_tokens).or_zero()?;
        let of_input = self
            .prompt_tokens_details
            .or(self.input_tokens_details)
            .unwrap_or_default();
        let of_output = self
            .completion_tokens_details
            .or(self.output_tokens_details)
            .unwrap_or_default();

        let cached = of_input
            .cached_tokens
            .or(self.prompt_cache_hit_tokens)
            .or(self.cached_tokens)
            .or_zero()?;
        let written = of_input
            .cache_write_tokens
            .or(of_input.cache_creation_tokens)
            .or(self.cache_creation_input_tokens)
            .or_zero()?;
        // A part is never larger than what is left of the whole.
        let cache_read = cached.min(input);
        let cache_write_5m = written.min(input - cache_read);
        let audio_input = of_input
            .audio_tokens
            .or_zero()?
            .min(input - cache_read - cache_write_5m);

        let named_reasoning = of_output.reasoning_tokens.or_zero()?;
        let beyond = self
            .total_tokens
            .or_zero()?
            .saturating_sub(input.saturating_add(output));
        let reasoning_inside = if beyond > 0 {
            named_reasoning.saturating_sub(beyond).min(output)
        } else {
            named_reasoning.min(output)
        };
        let audio_output = of_output
            .audio_tokens
            .or_zero()?
            .min(output - reasoning_inside);
        Some(TokenUsage {
            input: input - cache_read - cache_write_5m - audio_input,
            cache_read,
            cache_write_5m,
            cache_write_1h: 0,
            audio_input,
            output: output - reasoning_inside - audio_output,
            reasoning: reasoning_inside + beyond,
            audio_output,
            tier,
        })
    }
}

/// The last report of a stream, and the tier that its events name.
#[derive(Debug, Clone, Default)]
pub(super) struct Collected {
    report: Option<Report>,
    tier: ServiceTier,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(default)]
    usage: Option<Report>,
    #[serde(default)]
    x_groq: Option<Nested>,
    #[serde(default)]
    response: Option<Nested>,
    #[serde(default, borrow)]
    service_tier: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Nested {
    #[serde(default)]
    usage: Option<Report>,
    #[serde(default)]
    service_tier: Option<String>,
}

impl Collected {
    pub(super) fn read_event(&mut self, data: &[u8]) -> bool {
        let Some(event) = first_value::<Event<'_>>(data) else {
            return false;
        };
        let nested = event.response.or(event.x_groq);
        if let Some(tier) = event.service_tier.as_deref().or(nested
            .as_ref()
            .and_then(|nested| nested.service_tier.as_deref()))
        {
            self.tier = service_tier(tier);
        }
        let report = event.usage.or(nested.and_then(|nested| nested.usage));
        self.report = report.or(self.report);
        report.is_some()
    }

    pub(super) fn read_report(&mut self, report: &[u8]) {
        self.report = first_value(report);
    }

    pub(super) fn read_tier(&mut self, tier: &[u8]) {
        if let Some(Some(name)) = first_value::<Option<String>>(tier) {
            self.tier = service_tier(&name);
        }
    }

    pub(super) fn usage(&self) -> Option<TokenUsage> {
        self.report.as_ref()?.usage(self.tier)
    }
}

/// `auto` and `default` in an answer mean that nothing special served it.
pub(super) fn service_tier(name: &str) -> ServiceTier {
    match name {
        "flex" => ServiceTier::Flex,
        "priority" => ServiceTier::Priority,
        "fast" => ServiceTier::Fast,
        "batch" => ServiceTier::Batch,
        _ => ServiceTier::Standard,
    }
}
