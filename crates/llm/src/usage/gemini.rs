//! Gemini's report: cached tokens are inside `promptTokenCount`, thoughts beside `candidatesTokenCount`, tool results
//! beside the prompt. A stream repeats the report in every chunk, and the last one wins.

use serde::Deserialize;
use tollgate_domain::TokenUsage;
use tollgate_domain::usage::ServiceTier;

use super::count::Count;
use super::first_value;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Report {
    prompt_token_count: Count,
    cached_content_token_count: Count,
    candidates_token_count: Count,
    thoughts_token_count: Count,
    tool_use_prompt_token_count: Count,
    prompt_tokens_details: Option<Vec<Modality>>,
    cache_tokens_details: Option<Vec<Modality>>,
    candidates_tokens_details: Option<Vec<Modality>>,
    traffic_type: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Modality {
    modality: Option<String>,
    token_count: Count,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Collected(Option<Report>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    usage_metadata: Option<Report>,
}

impl Collected {
    pub(super) fn read_event(&mut self, data: &[u8]) -> bool {
        let report = first_value::<Event>(data).and_then(|event| event.usage_metadata);
        let is_report = report.is_some();
        self.0 = report.or(self.0.take());
        is_report
    }

    pub(super) fn read_report(&mut self, report: &[u8]) {
        self.0 = first_value(report);
    }

    pub(super) fn usage(&self) -> Option<TokenUsage> {
        let report = self.0.as_ref()?;
        let prompt = report.prompt_token_count.or_zero()?;
        let cache_read = report.cached_content_token_count.or_zero()?.min(prompt);
        // Cached audio is charged as cached, so it is no audio any more.
        let audio_input = audio(report.prompt_tokens_details.as_deref())?
            .saturating_sub(audio(report.cache_tokens_details.as_deref())?)
            .min(prompt - cache_read);
        let candidates = report.candidates_token_count.or_zero()?;
        let audio_output = audio(report.candidates_tokens_details.as_deref())?.min(candidates);
        Some(TokenUsage {
            input: (prompt - cache_read - audio_input)
                .saturating_add(report.tool_use_prompt_token_count.or_zero()?),
            cache_read,
            audio_input,
            output: candidates - audio_output,
            reasoning: report.thoughts_token_count.or_zero()?,
            audio_output,
            tier: match report.traffic_type.as_deref() {
                Some("ON_DEMAND_PRIORITY") => ServiceTier::Priority,
                Some("ON_DEMAND_FLEX") => ServiceTier::Flex,
                _ => ServiceTier::Standard,
            },
            ..TokenUsage::default()
        })
    }
}

fn audio(details: Option<&[Modality]>) -> Option<u64> {
    details
        .unwrap_or_default()
        .iter()
        .filter(|part| part.modality.as_deref() == Some("AUDIO"))
        .map(|part| part.token_count.or_zero())
        .try_fold(0_u64, |sum, count| Some(sum.saturating_add(count?)))
}
