//! What a request asks for, read in one pass with borrowed fields.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use tollgate_domain::GatewayError;
use tollgate_domain::access::{Endpoint, ModelRequest};

use super::content::{Messages, Tools, look_at_input};
use super::field::{Field, Spelling, spelling};
use crate::findings::{CONVERSATION, Findings};
use crate::json;
use crate::request::{
    self, MAX_CHOICES, MAX_OUTPUT_LIMIT, Name, boolean, integer, invalid, malformed, misspelt,
    model_name, plain_string, repeated,
};

/// The governed part of a chat-completions or embeddings request. It borrows from the body and remembers where the
/// fields stand, so that [`super::splice()`] can change them in place.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// What kind of work.
    pub endpoint: Endpoint,
    /// The model as the caller wrote it, without escapes; 1 to [`request::MAX_MODEL_BYTES`] bytes, no control characters.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed.
    pub is_stream: bool,
    /// Whether the client asked to see the usage of a stream.
    pub wants_usage: bool,
    /// The output limit that the request names, for one choice. When it names both fields, the larger one: which of
    /// them a provider follows differs.
    pub max_output_tokens: Option<u64>,
    /// How many answers are asked for; 1 to [`MAX_CHOICES`].
    pub choices: u64,
    /// The service tier that the request names.
    pub service_tier: Option<&'a str>,
    /// Whether images or audio are in it.
    pub has_media: bool,
    /// What in the request cannot be bounded, when something is: a noun phrase for a message.
    pub unbounded: Option<&'static str>,
    pub(super) spans: Spans,
}

/// Where in the body the spliced fields stand.
#[derive(Debug, Clone)]
pub(super) struct Spans {
    /// Just after the brace that opens the body.
    pub(super) open: usize,
    /// The model's value, with its quotes.
    pub(super) model: Range<usize>,
    pub(super) usage: UsageSpan,
    /// The value of `max_tokens`, when that is null.
    pub(super) null_max_tokens: Option<Range<usize>>,
    /// The value of `max_completion_tokens`, when that is null.
    pub(super) null_max_completion_tokens: Option<Range<usize>>,
    /// The name `max_completion_tokens`, without its quotes, when the request names its limit only there.
    pub(super) newer_limit_alone: Option<Range<usize>>,
}

/// Where the wish to see the usage stands, or would.
#[derive(Debug, Clone)]
pub(super) enum UsageSpan {
    /// There is no `stream_options`.
    Absent,
    /// `stream_options` is null: replace that.
    Null(Range<usize>),
    /// `stream_options` has no `include_usage`: insert after its brace, with a comma when it has other members.
    Options { open: usize, is_empty: bool },
    /// The value of `include_usage`.
    Value(Range<usize>),
}

impl<'a> Envelope<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// `invalid_request`, with the field at fault, when the body is not one JSON object in UTF-8, nests
    /// too deep, has no usable model, or holds a governed field twice, misspelt or with a value of the wrong kind.
    pub fn parse(endpoint: Endpoint, body: &'a [u8]) -> Result<Self, GatewayError> {
        let text = request::text(body)?;
        let mut fault = None;
        let mut findings = Findings::default();
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer
            .deserialize_map(Body {
                fault: &mut fault,
                findings: &mut findings,
            })
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|error| fault.take().unwrap_or_else(|| malformed(&error)))?;
        Self::judge(endpoint, text, &members, findings)
    }

    fn judge(
        endpoint: Endpoint,
        text: &'a str,
        members: &Members<'a>,
        mut findings: Findings,
    ) -> Result<Self, GatewayError> {
        let raw_model = members.get(Field::Model).ok_or_else(|| {
            invalid("`model` is missing; name the model as `provider/model`").with_param("model")
        })?;
        let model = model_name(raw_model)?;
        for field in [Field::Models, Field::Fallbacks] {
            if members.get_set(field).is_some() {
                let name = field.name();
                return Err(invalid(format!(
                    "`{name}` is not accepted: it would let the provider answer with a model that was not checked; name one `model`"
                ))
                .with_param(name));
            }
        }
        let limit = |field: Field| {
            members
                .get_set(field)
                .map(|raw| integer(field.name(), raw, MAX_OUTPUT_LIMIT))
                .transpose()
        };
        let max_output_tokens = limit(Field::MaxTokens)?.max(limit(Field::MaxCompletionTokens)?);
        let choices = members
            .get_set(Field::N)
            .map(|raw| integer("n", raw, MAX_CHOICES))
            .transpose()?
            .unwrap_or(1);
        let is_stream = boolean("stream", members.get(Field::Stream))?;
        let (wants_usage, usage) = stream_options(text, members.get(Field::StreamOptions))?;
        for (field, reason) in UNBOUNDED {
            if members.get_set(field).is_some_and(|raw| raw != "false") {
                findings.add(reason);
            }
        }
        if let Some(input) = members.get(Field::Input) {
            look_at_input(input, &mut findings);
        }
        let null_span = |field: Field| {
            members
                .get(field)
                .filter(|raw| *raw == "null")
                .map(|raw| json::span_of(text, raw))
        };
        let newer_limit_alone = members
            .get_set(Field::MaxCompletionTokens)
            .filter(|_| members.get_set(Field::MaxTokens).is_none())
            .and_then(|raw| name_before(text, json::span_of(text, raw).start));
        Ok(Self {
            endpoint,
            model,
            is_stream: is_stream && endpoint.has_output(),
            wants_usage,
            max_output_tokens,
            choices,
            service_tier: members.get_set(Field::ServiceTier).and_then(plain_string),
            has_media: findings.has_media,
            unbounded: findings.unbounded,
            spans: Spans {
                // The parser has seen an object, so only white space can stand before its brace.
                open: json::skip_whitespace(text.as_bytes(), 0) + 1,
                model: json::span_of(text, raw_model),
                usage,
                null_max_tokens: null_span(Field::MaxTokens),
                null_max_completion_tokens: null_span(Field::MaxCompletionTokens),
                newer_limit_alone,
            },
        })
    }

    /// The facts that policy looks at. `body_bytes` is the size of the body that was parsed.
    pub fn to_model_request(&self, body_bytes: usize) -> ModelRequest<'_> {
        ModelRequest {
            endpoint: self.endpoint,
            model: &self.model,
            body_bytes: body_bytes as u64,
            input_tokens: None,
            max_output_tokens: self.max_output_tokens,
            choices: self.choices,
            has_media: self.has_media,
            unbounded: self.unbounded,
        }
    }
}

const WEB_SEARCH: &str = "a web search at the provider";

/// Fields that make the cost unboundable when they are set.
const UNBOUNDED: [(Field, &str); 10] = [
    (Field::WebSearchOptions, WEB_SEARCH),
    // xAI's and Qwen's names for it.
    (Field::SearchParameters, WEB_SEARCH),
    (Field::EnableSearch, WEB_SEARCH),
    (Field::PreviousResponseId, CONVERSATION),
    (Field::Conversation, CONVERSATION),
    (Field::Prompt, "a prompt that is stored at the provider"),
    (Field::Plugins, "a plugin that runs at the provider"),
    (
        Field::Prediction,
        "a predicted output, which is charged where it is wrong",
    ),
    (Field::BestOf, "`best_of`, which samples answers unseen"),
    (
        Field::NPredict,
        "`n_predict`, which some providers prefer to `max_tokens`",
    ),
];

/// The governed members as they stand in the body.
struct Members<'a>([Option<&'a str>; Field::COUNT]);

impl<'a> Members<'a> {
    fn get(&self, field: Field) -> Option<&'a str> {
        self.0[field as usize]
    }

    /// The value, unless it is null: that is how clients say "not set".
    fn get_set(&self, field: Field) -> Option<&'a str> {
        self.get(field).filter(|raw| *raw != "null")
    }
}

/// Collects the members of the outermost object. A refusal that names a field leaves through `fault`, since the parser's
/// own error type carries only text.
struct Body<'s> {
    fault: &'s mut Option<GatewayError>,
    findings: &'s mut Findings,
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members([None; Field::COUNT]);
        while let Some(name) = map.next_key::<Name<'de>>()? {
            let field = match spelling(&name) {
                Spelling::Exact(field) => field,
                Spelling::Variant(field) => {
                    *self.fault = Some(misspelt(field.name(), field.name()));
                    return Err(A::Error::custom("misspelt"));
                }
                Spelling::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if members.get(field).is_some() {
                *self.fault = Some(repeated(field.name(), field.name()));
                return Err(A::Error::custom("repeated"));
            }
            members.0[field as usize] = Some(match field {
                Field::Messages => {
                    map.next_value_seed(Messages(self.findings))?;
                    ""
                }
                Field::Tools => {
                    map.next_value_seed(Tools(self.findings))?;
                    ""
                }
                _ => map.next_value::<&'de RawValue>()?.get(),
            });
        }
        Ok(members)
    }
}

/// The name of the member whose value starts at `value`, without its quotes. Governed names hold no escapes.
fn name_before(text: &str, value: usize) -> Option<Range<usize>> {
    let before = text.get(..value)?.trim_end().strip_suffix(':')?;
    let quoted = before.trim_end().strip_suffix('"')?;
    let start = quoted.rfind('"')? + 1;
    Some(start..quoted.len())
}

fn stream_options(text: &str, raw: Option<&str>) -> Result<(bool, UsageSpan), GatewayError> {
    let Some(raw) = raw else {
        return Ok((false, UsageSpan::Absent));
    };
    let span = json::span_of(text, raw);
    if raw == "null" {
        return Ok((false, UsageSpan::Null(span)));
    }
    let options = request::members(raw, "stream_options.", &["include_usage"])?;
    let Some(value) = options.get(0) else {
        return Ok((
            false,
            UsageSpan::Options {
                open: span.start + 1,
                is_empty: options.is_empty,
            },
        ));
    };
    let wants = boolean("stream_options.include_usage", Some(value))?;
    Ok((wants, UsageSpan::Value(json::span_of(text, value))))
}
