//! Changing a request on its way to the provider, by cutting into its bytes.

use bytes::Bytes;

use super::envelope::{Envelope, UsageSpan};
use crate::cuts::{self, Cuts, quoted};

/// The field in which a provider takes the output limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutputField {
    /// The older one, which every compatible server knows.
    MaxTokens,
    /// The newer one, the only one that OpenAI's reasoning models take; it covers reasoning too.
    MaxCompletionTokens,
}

impl OutputField {
    /// The field that the provider at this host takes.
    pub fn for_host(host: &str) -> Self {
        let is_openai = [
            "openai.com",
            "openai.azure.com",
            "cognitiveservices.azure.com",
        ]
        .iter()
        .any(|domain| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        if is_openai {
            Self::MaxCompletionTokens
        } else {
            Self::MaxTokens
        }
    }

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}

/// An output limit that the provider has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Where the provider takes it.
    pub field: OutputField,
    /// Tokens of one choice.
    pub tokens: u64,
}

/// What has to differ on the way to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edits<'e> {
    /// The provider's own name of the model.
    pub model: &'e str,
    /// Whether to ask for the usage of a stream. Asks only when the request is streamed and does not ask itself.
    pub ask_for_usage: bool,
    /// Written only when the request names no limit. A limit that it names in the newer field alone goes to a provider of
    /// the older one under that name: one that does not know a field ignores it.
    pub output_limit: Option<OutputLimit>,
}

/// The body with the edits cut in and every other byte as it was. A body that needs no edit is shared, not copied.
/// `envelope` has to be the one that was parsed from `body`.
pub fn splice(body: &Bytes, envelope: &Envelope<'_>, edits: &Edits<'_>) -> Bytes {
    cuts::apply(body, &cuts(envelope, edits))
}

/// What to put in which place, first place first.
fn cuts(envelope: &Envelope<'_>, edits: &Edits<'_>) -> Cuts {
    let spans = &envelope.spans;
    let mut cuts = Cuts::new();
    let mut insert = String::new();
    if envelope.model != edits.model {
        cuts.push((spans.model.clone(), quoted(edits.model)));
    }
    if edits.ask_for_usage && envelope.is_stream && !envelope.wants_usage {
        const WISH: &str = r#""include_usage":true"#;
        match &spans.usage {
            UsageSpan::Absent => {
                insert.push_str(r#""stream_options":{"include_usage":true},"#);
            }
            UsageSpan::Null(range) => cuts.push((range.clone(), format!("{{{WISH}}}"))),
            UsageSpan::Options { open, is_empty } => {
                let comma = if *is_empty { "" } else { "," };
                cuts.push((*open..*open, format!("{WISH}{comma}")));
            }
            UsageSpan::Value(range) => cuts.push((range.clone(), "true".to_owned())),
        }
    }
    if let Some(limit) = edits
        .output_limit
        .filter(|_| envelope.endpoint.has_output())
    {
        output_limit(envelope, limit, &mut cuts, &mut insert);
    }
    if !insert.is_empty() {
        cuts.push((spans.open..spans.open, insert));
    }
    cuts.sort_by_key(|(range, _)| range.start);
    cuts
}

fn output_limit(envelope: &Envelope<'_>, limit: OutputLimit, cuts: &mut Cuts, insert: &mut String) {
    let spans = &envelope.spans;
    if let Some(named) = envelope.max_output_tokens {
        if let (OutputField::MaxTokens, Some(name)) = (limit.field, &spans.newer_limit_alone) {
            match &spans.null_max_tokens {
                Some(null) => cuts.push((null.clone(), named.to_string())),
                None => cuts.push((name.clone(), limit.field.name().to_owned())),
            }
        }
        return;
    }
    let null = match limit.field {
        OutputField::MaxTokens => &spans.null_max_tokens,
        OutputField::MaxCompletionTokens => &spans.null_max_completion_tokens,
    };
    if let Some(range) = null {
        cuts.push((range.clone(), limit.tokens.to_string()));
    } else {
        insert.push('"');
        insert.push_str(limit.field.name());
        insert.push_str("\":");
        insert.push_str(&limit.tokens.to_string());
        insert.push(',');
    }
}
