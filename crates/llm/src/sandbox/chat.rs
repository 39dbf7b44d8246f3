//! Chat answers.

use serde_json::{Value, json};

use super::request::ChatRequest;
use super::tokenizer::{count_tokens, truncate};
use super::{
    LARGE, MAX_OUTPUT_TOKENS, Pieces, Refusal, SMALL, SandboxAnswer, SandboxBody, Stamp,
    json_answer, schema, stream,
};

/// Most choices of one answer.
const MAX_CHOICES: usize = 128;

/// What the sandbox has to say, before it is put into a body or into events. All choices are the same.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) model: String,
    pub(super) says: Says,
    pub(super) finish_reason: &'static str,
    pub(super) choices: usize,
    pub(super) prompt_tokens: u64,
    /// Of all choices together.
    pub(super) completion_tokens: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Says {
    Text(String),
    Call { name: String, arguments: String },
}

pub(super) fn answer(body: &[u8], stamp: &Stamp<'_>) -> Result<SandboxAnswer, Refusal> {
    let request: ChatRequest = serde_json::from_slice(body)
        .map_err(|error| Refusal::invalid(None, format!("not a chat request: {error}")))?;
    let reply = reply(&request, stamp)?;
    if request.stream == Some(true) {
        let shows_usage = request
            .stream_options
            .as_ref()
            .is_some_and(|options| options.include_usage == Some(true));
        return Ok(SandboxAnswer {
            status: 200,
            content_type: "text/event-stream",
            body: SandboxBody(Pieces::Events(Box::new(stream::Events::new(
                reply,
                shows_usage,
            )))),
        });
    }
    Ok(json_answer(200, &reply.to_body()))
}

fn reply(request: &ChatRequest, stamp: &Stamp<'_>) -> Result<Reply, Refusal> {
    if request.messages.is_empty() {
        return Err(Refusal::invalid(
            Some("messages"),
            "`messages` is empty; send at least one message",
        ));
    }
    let choices = request.n.unwrap_or(1);
    if !(1..=MAX_CHOICES).contains(&choices) {
        return Err(Refusal::invalid(
            Some("n"),
            format!("`n` has to be an integer from 1 to {MAX_CHOICES}"),
        ));
    }
    let said = request.last_text();
    let text = match request.model.as_str() {
        SMALL => said.clone(),
        LARGE => at_length(&said),
        other => return Err(Refusal::unknown_model(other)),
    };
    let limit = request
        .max_completion_tokens
        .or(request.max_tokens)
        .unwrap_or(MAX_OUTPUT_TOKENS)
        .min(MAX_OUTPUT_TOKENS);
    let (says, finish_reason) = if let Some(function) = request.forced_function() {
        let arguments = schema::example(&function.parameters, &said).to_string();
        let (arguments, is_cut) = cut(&arguments, limit);
        let name = function.name.clone();
        (
            Says::Call { name, arguments },
            if is_cut { "length" } else { "tool_calls" },
        )
    } else {
        let text = shaped(request.response_format.as_ref(), text);
        let until_stop = request
            .stops()
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| text.find(stop.as_str()))
            .min()
            .map_or(text.as_str(), |at| &text[..at]);
        let (text, is_cut) = cut(until_stop, limit);
        (Says::Text(text), if is_cut { "length" } else { "stop" })
    };
    let tokens_each = match &says {
        Says::Text(text) => count_tokens(text),
        Says::Call { name, arguments } => (count_tokens(name) + count_tokens(arguments)).min(limit),
    };
    Ok(Reply {
        id: format!("chatcmpl-{}", stamp.request_id),
        created: stamp.created,
        model: request.model.clone(),
        says,
        finish_reason,
        choices,
        prompt_tokens: request.prompt_tokens(),
        completion_tokens: tokens_each * choices as u64,
    })
}

fn cut(text: &str, limit: u64) -> (String, bool) {
    let kept = truncate(text, limit);
    (kept.to_owned(), kept.len() < text.len())
}

/// The longer answer of the larger model.
fn at_length(said: &str) -> String {
    let words = said.split_whitespace().count();
    let letters = said.chars().filter(|letter| letter.is_alphabetic()).count();
    format!(
        "You said: {said}\n\nThat is {words} words and {letters} letters. I am the sandbox: I know nothing, I cost as much \
         as the catalog says, and I give the same answer to the same question. Read backwards, your message begins with \
         “{}”.",
        said.chars().rev().take(40).collect::<String>()
    )
}

/// The text in the shape that `response_format` asks for.
fn shaped(format: Option<&Value>, text: String) -> String {
    let kind = format.and_then(|format| format.get("type")?.as_str());
    match (format, kind) {
        (_, Some("json_object")) => json!({ "answer": text }).to_string(),
        (Some(format), Some("json_schema")) => {
            let schema = format.pointer("/json_schema/schema");
            schema.map_or(text.clone(), |schema| {
                schema::example(schema, &text).to_string()
            })
        }
        _ => text,
    }
}

impl Reply {
    pub(super) fn usage(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        })
    }

    /// The id of the tool call in one choice.
    pub(super) fn call_id(&self, choice: usize) -> String {
        format!("call_{}_{choice}", self.id.trim_start_matches("chatcmpl-"))
    }

    fn to_body(&self) -> Value {
        let choices: Vec<Value> = (0..self.choices)
            .map(|index| {
                json!({
                    "index": index,
                    "message": self.message(index),
                    "logprobs": null,
                    "finish_reason": self.finish_reason,
                })
            })
            .collect();
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "usage": self.usage(),
            "service_tier": "default",
            "system_fingerprint": "sandbox",
        })
    }

    fn message(&self, choice: usize) -> Value {
        match &self.says {
            Says::Text(text) => json!({"role": "assistant", "content": text, "refusal": null}),
            Says::Call { name, arguments } => json!({
                "role": "assistant",
                "content": null,
                "refusal": null,
                "tool_calls": [{
                    "id": self.call_id(choice),
                    "type": "function",
                    "function": {"name": name, "arguments": arguments},
                }],
            }),
        }
    }
}
