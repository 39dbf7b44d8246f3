//! Anthropic's report: cached and cache-written tokens are beside `input_tokens`, reasoning is inside `output_tokens`.
//! The fast speed is a tier by another name.
//!
//! A stream reports twice: `message_start` the input, `message_delta` the final, cumulative counts. A later count
//! replaces an earlier one, since server tools make the input grow.

use serde::Deserialize;
use tollgate_domain::TokenUsage;
use tollgate_domain::usage::ServiceTier;

use super::count::Count;
use super::first_value;
use super::openai::service_tier;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Report {
    input_tokens: Count,
    output_tokens: Count,
    cache_read_input_tokens: Count,
    cache_creation_input_tokens: Count,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    service_tier: Option<String>,
    speed: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Count,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_5m_input_tokens: Count,
    ephemeral_1h_input_tokens: Count,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Collected(Option<Report>);

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    message: Option<Message>,
    #[serde(default)]
    usage: Option<Report>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    usage: Option<Report>,
}

impl Collected {
    pub(super) fn read_event(&mut self, data: &[u8]) -> bool {
        let Some(event) = first_value::<Event>(data) else {
            return false;
        };
        let report = event
            .usage
            .or(event.message.and_then(|message| message.usage));
        let is_report = report.is_some();
        if let Some(report) = report {
            self.update(report);
        }
        is_report
    }

    pub(super) fn read_report(&mut self, report: &[u8]) {
        if let Some(report) = first_value(report) {
            self.update(report);
        }
    }

    fn update(&mut self, later: Report) {
        let report = self.0.get_or_insert_default();
        report.input_tokens.update(later.input_tokens);
        report.output_tokens.update(later.output_tokens);
        report
            .cache_read_input_tokens
            .update(later.cache_read_input_tokens);
        report
            .cache_creation_input_tokens
            .update(later.cache_creation_input_tokens);
        report.cache_creation = later.cache_creation.or(report.cache_creation);
        report.output_tokens_details = later.output_tokens_details.or(report.output_tokens_details);
        if later.service_tier.is_some() {
            report.service_tier = later.service_tier;
        }
        if later.speed.is_some() {
            report.speed = later.speed;
        }
    }

    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let report = self.0.as_ref()?;
        let split = report.cache_creation.unwrap_or_default();
        let hour = split.ephemeral_1h_input_tokens.or_zero()?;
        let five_minutes = split.ephemeral_5m_input_tokens.or_zero()?;
        let written = report.cache_creation_input_tokens.or_zero()?;
        // The split sums up to the whole; without it, five minutes is what Anthropic does by itself.
        let unsplit = written.saturating_sub(five_minutes.saturating_add(hour));
        let output = report.output_tokens.or_zero()?;
        let reasoning = report
            .output_tokens_details
            .unwrap_or_default()
            .thinking_tokens
            .or_zero()?
            .min(output);
        let tier = match (report.speed.as_deref(), report.service_tier.as_deref()) {
            (Some("fast"), _) => ServiceTier::Fast,
            (_, Some(tier)) => service_tier(tier),
            (_, None) => ServiceTier::Standard,
        };
        Some(TokenUsage {
            input: report.input_tokens.or_zero()?,
            cache_read: report.cache_read_input_tokens.or_zero()?,
            cache_write_5m: five_minutes.saturating_add(unsplit),
            cache_write_1h: hour,
            output: output - reasoning,
            reasoning,
            tier,
            ..TokenUsage::default()
        })
    }
}
