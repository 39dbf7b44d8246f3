//! Anthropic's dialect of a request: what it asks for, and what is changed on its way to the provider.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use tollgate_domain::GatewayError;

use crate::cuts::{self, Cuts, quoted};
use crate::findings::{FILE, Findings, REMOTE, SERVER_TOOL};
use crate::json;
use crate::request::{
    self, MAX_OUTPUT_LIMIT, boolean, integer, invalid, list, model_name, plain_string,
};

const NAMES: [&str; 9] = [
    "model",
    "stream",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "service_tier",
    "mcp_servers",
    "container",
];

/// The governed part of a messages request. It borrows from the body and remembers where the fields stand.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// The model as the caller wrote it, without escapes.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed. Its usage is always reported.
    pub is_stream: bool,
    /// The output limit, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// The service tier that the request names.
    pub service_tier: Option<&'a str>,
    /// Whether images are in it.
    pub has_media: bool,
    /// What in the request cannot be bounded, when something is: a noun phrase for a message.
    pub unbounded: Option<&'static str>,
    open: usize,
    model_span: Range<usize>,
    null_max_tokens: Option<Range<usize>>,
}

impl<'a> Envelope<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// `invalid_request`, with the field at fault, as for OpenAI's dialect.
    pub fn parse(body: &'a [u8]) -> Result<Self, GatewayError> {
        let text = request::text(body)?;
        let members = request::members(text, "", &NAMES)?;
        let [
            model,
            stream,
            max_tokens,
            messages,
            system,
            tools,
            tier,
            servers,
            container,
        ] = std::array::from_fn(|index| members.get(index));
        let raw_model = model.ok_or_else(|| {
            invalid("`model` is missing; name the model as `provider/model`").with_param("model")
        })?;
        let mut findings = Findings::default();
        for message in list(messages)? {
            let content = request::members(message.get(), "", &["content"])?.get(0);
            look_at_content(content, &mut findings)?;
        }
        look_at_content(system, &mut findings)?;
        for tool in list(tools)? {
            let kind = request::members(tool.get(), "", &["type"])?.get_set(0);
            if kind.is_some_and(|kind| !runs_at_client(kind)) {
                findings.add(SERVER_TOOL);
            }
        }
        if !list(servers)?.is_empty() || container.is_some_and(|container| container != "null") {
            findings.add(SERVER_TOOL);
        }
        Ok(Self {
            model: model_name(raw_model)?,
            is_stream: boolean("stream", stream)?,
            max_output_tokens: max_tokens
                .filter(|raw| *raw != "null")
                .map(|raw| integer("max_tokens", raw, MAX_OUTPUT_LIMIT))
                .transpose()?,
            service_tier: tier.and_then(plain_string),
            has_media: findings.has_media,
            unbounded: findings.unbounded,
            open: json::skip_whitespace(body, 0) + 1,
            model_span: json::span_of(text, raw_model),
            null_max_tokens: max_tokens
                .filter(|raw| *raw == "null")
                .map(|raw| json::span_of(text, raw)),
        })
    }
}

/// The body with the provider's own model name, and an output limit when the request names none; every other byte as it
/// was. `envelope` has to be the one that was parsed from `body`.
pub fn splice(
    body: &Bytes,
    envelope: &Envelope<'_>,
    model: &str,
    output_limit: Option<u64>,
) -> Bytes {
    let mut cuts = Cuts::new();
    if envelope.model != model {
        cuts.push((envelope.model_span.clone(), quoted(model)));
    }
    if let Some(tokens) = output_limit
        && envelope.max_output_tokens.is_none()
    {
        cuts.push(match &envelope.null_max_tokens {
            Some(range) => (range.clone(), tokens.to_string()),
            None => (
                envelope.open..envelope.open,
                format!("\"max_tokens\":{tokens},"),
            ),
        });
    }
    cuts.sort_by_key(|(range, _)| range.start);
    cuts::apply(body, &cuts)
}

/// A string is text; anything else is a list of blocks.
fn look_at_content(content: Option<&str>, findings: &mut Findings) -> Result<(), GatewayError> {
    if content.is_some_and(|content| content.starts_with('"')) {
        return Ok(());
    }
    for block in list(content)? {
        let members = request::members(block.get(), "", &["type", "source", "content"])?;
        match members.get(0).and_then(plain_string) {
            Some("text" | "tool_use" | "thinking" | "redacted_thinking") => {}
            // How deep results nest is bounded by the depth of the whole body.
            Some("tool_result") => look_at_content(members.get(2), findings)?,
            Some("image") if is_inline(members.get(1))? => findings.has_media = true,
            Some("image" | "document") => look_at_source(members.get(1), findings)?,
            _ => findings.add(REMOTE),
        }
    }
    Ok(())
}

fn source_kind(source: Option<&str>) -> Result<Option<&str>, GatewayError> {
    Ok(source
        .map(|source| request::members(source, "", &["type"]))
        .transpose()?
        .and_then(|members| members.get(0))
        .and_then(plain_string))
}

fn is_inline(source: Option<&str>) -> Result<bool, GatewayError> {
    Ok(source_kind(source)? == Some("base64"))
}

fn look_at_source(source: Option<&str>, findings: &mut Findings) -> Result<(), GatewayError> {
    match source_kind(source)? {
        Some("text") => {}
        Some("base64" | "content") => findings.add(FILE),
        _ => findings.add(REMOTE),
    }
    Ok(())
}

/// Tools that Anthropic defines and the client runs; a plain definition has no type, or `custom`.
fn runs_at_client(kind: &str) -> bool {
    plain_string(kind).is_some_and(|kind| {
        kind == "custom"
            || ["bash_", "text_editor_", "computer_", "memory_"]
                .iter()
                .any(|prefix| kind.starts_with(prefix))
    })
}
