//! What an answer says it consumed, made disjoint.
//!
//! Every provider counts its own way: cached tokens inside the input or beside it, reasoning inside the output or beside
//! it, totals that show what no part names. The adapters turn each report into a [`TokenUsage`] whose kinds do not
//! overlap. A report that cannot be true (a negative or fractional count, nothing at all) is no report: the request is
//! then charged by our own count, never as zero.

mod anthropic;
mod count;
mod gemini;
mod openai;

use std::sync::LazyLock;

use memchr::memmem::Finder;
use tollgate_domain::TokenUsage;
use tollgate_domain::provider::ProviderType;

use crate::json;

static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));
static USAGE_METADATA: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new("\"usageMetadata\""));
const SERVICE_TIER: &[u8] = b"\"service_tier\"";

/// The shape in which a provider reports usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UsageFormat {
    /// Chat completions, embeddings, responses, and everything compatible.
    OpenAi,
    /// Messages.
    Anthropic,
    /// generateContent.
    Gemini,
}

impl UsageFormat {
    /// The shape that a provider of this type uses.
    pub const fn of(provider: ProviderType) -> Self {
        match provider {
            ProviderType::OpenAi | ProviderType::Sandbox => Self::OpenAi,
            ProviderType::Anthropic => Self::Anthropic,
            ProviderType::Gemini => Self::Gemini,
        }
    }

    /// Finds the name of the member that holds the report.
    pub(crate) fn member(self) -> &'static Finder<'static> {
        match self {
            Self::OpenAi | Self::Anthropic => &USAGE,
            Self::Gemini => &USAGE_METADATA,
        }
    }
}

/// The usage that a whole (not streamed) answer reports, if it does. Finds the report and parses nothing else.
pub fn from_body(format: UsageFormat, body: &[u8]) -> Option<TokenUsage> {
    let member = format.member();
    member.find(body)?;
    let names = [member.needle(), SERVICE_TIER];
    let [report, tier] = json::outermost_members(body, names);
    let mut reports = Reports::new(format);
    reports.read_report(report?);
    if let Some(tier) = tier {
        reports.read_tier(tier);
    }
    reports.usage()
}

/// Gathers the usage of a streamed answer, event by event. What comes later wins, field by field where the provider
/// reports in parts, so that cumulative reports are not added up. What cannot be true takes nothing back.
#[derive(Debug, Clone)]
pub struct UsageCollector {
    reports: Reports,
    believed: Option<TokenUsage>,
}

#[derive(Debug, Clone)]
enum Reports {
    OpenAi(openai::Collected),
    Anthropic(anthropic::Collected),
    Gemini(gemini::Collected),
}

impl UsageCollector {
    /// Nothing gathered yet.
    pub fn new(format: UsageFormat) -> Self {
        Self {
            reports: Reports::new(format),
            believed: None,
        }
    }

    /// Takes the data of one event, which is JSON and has the word that names a report somewhere in it. Returns whether
    /// it brought a report that can be true.
    pub fn read_event(&mut self, data: &[u8]) -> bool {
        if !self.reports.read_event(data) {
            return false;
        }
        let usage = self.reports.usage();
        self.believed = usage.or(self.believed);
        usage.is_some()
    }

    /// The last of what was reported that can be true; `None` when nothing was.
    pub const fn usage(&self) -> Option<TokenUsage> {
        self.believed
    }
}

impl Reports {
    fn new(format: UsageFormat) -> Self {
        match format {
            UsageFormat::OpenAi => Self::OpenAi(openai::Collected::default()),
            UsageFormat::Anthropic => Self::Anthropic(anthropic::Collected::default()),
            UsageFormat::Gemini => Self::Gemini(gemini::Collected::default()),
        }
    }

    /// Whether the event had a report, whatever that says.
    fn read_event(&mut self, data: &[u8]) -> bool {
        match self {
            Self::OpenAi(collected) => collected.read_event(data),
            Self::Anthropic(collected) => collected.read_event(data),
            Self::Gemini(collected) => collected.read_event(data),
        }
    }

    fn usage(&self) -> Option<TokenUsage> {
        match self {
            Self::OpenAi(collected) => collected.usage(),
            Self::Anthropic(collected) => collected.usage(),
            Self::Gemini(collected) => collected.usage(),
        }
        .filter(|usage| usage.total() > 0)
    }

    fn read_report(&mut self, report: &[u8]) {
        match self {
            Self::OpenAi(collected) => collected.read_report(report),
            Self::Anthropic(collected) => collected.read_report(report),
            Self::Gemini(collected) => collected.read_report(report),
        }
    }

    fn read_tier(&mut self, tier: &[u8]) {
        if let Self::OpenAi(collected) = self {
            collected.read_tier(tier);
        }
    }
}

/// The first JSON value in `bytes`, which are UTF-8, whatever follows it.
fn first_value<'de, T: serde::Deserialize<'de>>(bytes: &'de [u8]) -> Option<T> {
    // Looked at once: a parser of bytes looks at every string again.
    serde_json::Deserializer::from_str(std::str::from_utf8(bytes).ok()?)
        .into_iter::<T>()
        .next()?
        .ok()
}
