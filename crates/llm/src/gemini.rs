//! Gemini's dialect of a request: what it asks for, and what is changed on its way to the provider.
//!
//! Model and method stand in the path, not in the body. Google's servers take every name in camel case and in snake
//! case, and so do we, but not both in one request.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;
use tollgate_domain::GatewayError;

use crate::cuts::{self, Cuts};
use crate::findings::{CONVERSATION, FILE, Findings, REMOTE, SERVER_TOOL};
use crate::json;
use crate::request::{
    self, MAX_CHOICES, MAX_OUTPUT_LIMIT, Members, integer, list, plain_string, repeated,
};

const NAMES: [&str; 8] = [
    "contents",
    "tools",
    "systemInstruction",
    "system_instruction",
    "generationConfig",
    "generation_config",
    "cachedContent",
    "cached_content",
];
const CONFIG_NAMES: [&str; 4] = [
    "maxOutputTokens",
    "max_output_tokens",
    "candidateCount",
    "candidate_count",
];
/// Members of a part that is text, or what the client's own functions said.
const TEXT_MEMBERS: [&str; 8] = [
    "text",
    "thought",
    "thoughtSignature",
    "thought_signature",
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
];

/// The governed part of a generateContent request.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// The output limit of one candidate, thoughts included.
    pub max_output_tokens: Option<u64>,
    /// How many candidates are asked for.
    pub choices: u64,
    /// Whether images or audio are in it.
    pub has_media: bool,
    /// What in the request cannot be bounded, when something is: a noun phrase for a message.
    pub unbounded: Option<&'static str>,
    limit: LimitSpan,
}

/// Where an output limit stands, or would.
#[derive(Debug, Clone)]
enum LimitSpan {
    /// There is no configuration: insert one after the brace that opens the body.
    NoConfig {
        open: usize,
        is_empty: bool,
    },
    /// The configuration, or the limit in it, is null: replace that.
    NullConfig(Range<usize>),
    Null(Range<usize>),
    /// Insert into the configuration.
    Config {
        open: usize,
        is_empty: bool,
    },
}

impl Envelope {
    /// Reads a request body.
    ///
    /// # Errors
    /// `invalid_request`, with the field at fault, as for OpenAI's dialect.
    pub fn parse(body: &[u8]) -> Result<Self, GatewayError> {
        let text = request::text(body)?;
        let members = request::members(text, "", &NAMES)?;
        let mut findings = Findings::default();
        for content in list(members.get(0))? {
            look_at_content(content.get(), &mut findings)?;
        }
        if let Some(instruction) = either(&members, 2, &NAMES)? {
            look_at_content(instruction, &mut findings)?;
        }
        for tool in list(members.get(1))? {
            let is_own = |name: &String| {
                matches!(
                    name.as_str(),
                    "functionDeclarations" | "function_declarations"
                )
            };
            if !all_members(tool.get())?.keys().all(is_own) {
                findings.add(SERVER_TOOL);
            }
        }
        if either(&members, 6, &NAMES)?.is_some_and(|cached| cached != "null") {
            findings.add(CONVERSATION);
        }
        let mut envelope = Self {
            max_output_tokens: None,
            choices: 1,
            has_media: findings.has_media,
            unbounded: findings.unbounded,
            limit: LimitSpan::NoConfig {
                open: json::skip_whitespace(body, 0) + 1,
                is_empty: members.is_empty,
            },
        };
        if let Some(config) = either(&members, 4, &NAMES)? {
            envelope.read_config(text, config)?;
        }
        Ok(envelope)
    }

    fn read_config(&mut self, text: &str, config: &str) -> Result<(), GatewayError> {
        let span = json::span_of(text, config);
        if config == "null" {
            self.limit = LimitSpan::NullConfig(span);
            return Ok(());
        }
        let members = request::members(config, "generationConfig.", &CONFIG_NAMES)?;
        self.limit = LimitSpan::Config {
            open: span.start + 1,
            is_empty: members.is_empty,
        };
        match either(&members, 0, &CONFIG_NAMES)? {
            None => {}
            Some("null") => {
                let raw = members.get(0).or(members.get(1)).unwrap_or_default();
                self.limit = LimitSpan::Null(json::span_of(text, raw));
            }
            Some(raw) => {
                let limit = integer("generationConfig.maxOutputTokens", raw, MAX_OUTPUT_LIMIT)?;
                self.max_output_tokens = Some(limit);
            }
        }
        if let Some(raw) = either(&members, 2, &CONFIG_NAMES)?.filter(|raw| *raw != "null") {
            self.choices = integer("generationConfig.candidateCount", raw, MAX_CHOICES)?;
        }
        Ok(())
    }
}

/// The body with an output limit when the request names none; every other byte as it was. `envelope` has to be the one
/// that was parsed from `body`.
pub fn splice(body: &Bytes, envelope: &Envelope, output_limit: Option<u64>) -> Bytes {
    let mut cuts = Cuts::new();
    if let Some(tokens) = output_limit.filter(|_| envelope.max_output_tokens.is_none()) {
        let member = format!("\"maxOutputTokens\":{tokens}");
        let comma = |is_empty: bool| if is_empty { "" } else { "," };
        cuts.push(match &envelope.limit {
            LimitSpan::NoConfig { open, is_empty } => (
                *open..*open,
                format!("\"generationConfig\":{{{member}}}{}", comma(*is_empty)),
            ),
            LimitSpan::NullConfig(range) => (range.clone(), format!("{{{member}}}")),
            LimitSpan::Null(range) => (range.clone(), tokens.to_string()),
            LimitSpan::Config { open, is_empty } => {
                (*open..*open, format!("{member}{}", comma(*is_empty)))
            }
        });
    }
    cuts::apply(body, &cuts)
}

/// The member at `index`, or in its other spelling, which is the next one.
fn either<'a, const N: usize>(
    members: &Members<'a, N>,
    index: usize,
    names: &[&str; N],
) -> Result<Option<&'a str>, GatewayError> {
    match (members.get(index), members.get(index + 1)) {
        (Some(_), Some(_)) => Err(repeated(names[index], names[index])),
        (camel, snake) => Ok(camel.or(snake)),
    }
}

fn look_at_content(content: &str, findings: &mut Findings) -> Result<(), GatewayError> {
    for part in list(request::members(content, "", &["parts"])?.get(0))? {
        for (name, value) in all_members(part.get())? {
            match name.as_str() {
                known if TEXT_MEMBERS.contains(&known) => {}
                "inlineData" | "inline_data" if is_media(value.get())? => findings.has_media = true,
                "inlineData" | "inline_data" => findings.add(FILE),
                _ => findings.add(REMOTE),
            }
        }
    }
    Ok(())
}

/// Whether inline data is an image or audio, by its own type.
fn is_media(data: &str) -> Result<bool, GatewayError> {
    let names = ["mimeType", "mime_type"];
    let members = request::members(data, "", &names)?;
    let kind = either(&members, 0, &names)?.and_then(plain_string);
    Ok(kind.is_some_and(|kind| kind.starts_with("image/") || kind.starts_with("audio/")))
}

fn all_members(object: &str) -> Result<BTreeMap<String, &RawValue>, GatewayError> {
    serde_json::from_str(object).map_err(|error| request::malformed(&error))
}
