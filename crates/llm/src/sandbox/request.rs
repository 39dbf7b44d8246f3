//! What the sandbox reads of a chat request.

use serde::Deserialize;
use serde_json::Value;

use super::tokenizer::count_tokens;

/// Tokens that surround each message, and that prime the answer.
const TOKENS_AROUND: u64 = 3;

#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    pub(super) model: String,
    pub(super) messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: Option<bool>,
    #[serde(default)]
    pub(super) stream_options: Option<StreamOptions>,
    #[serde(default)]
    pub(super) max_tokens: Option<u64>,
    #[serde(default)]
    pub(super) max_completion_tokens: Option<u64>,
    #[serde(default)]
    pub(super) n: Option<usize>,
    #[serde(default)]
    pub(super) stop: Option<Stop>,
    #[serde(default)]
    pub(super) tools: Option<Vec<Tool>>,
    #[serde(default)]
    pub(super) tool_choice: Option<Value>,
    #[serde(default)]
    pub(super) response_format: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct StreamOptions {
    #[serde(default)]
    pub(super) include_usage: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
pub(super) struct Tool {
    #[serde(default)]
    pub(super) function: Option<Function>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    #[serde(default)]
    pub(super) parameters: Value,
}

impl Message {
    /// The text parts, put together.
    pub(super) fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts
                .iter()
                .filter_map(|part| part.get("text")?.as_str())
                .collect(),
            _ => String::new(),
        }
    }
}

impl ChatRequest {
    pub(super) fn prompt_tokens(&self) -> u64 {
        let messages: u64 = self
            .messages
            .iter()
            .map(|message| TOKENS_AROUND + count_tokens(&message.text()))
            .sum();
        let tools: u64 = self
            .functions()
            .map(|function| {
                count_tokens(&function.name)
                    + count_tokens(function.description.as_deref().unwrap_or_default())
                    + count_tokens(&function.parameters.to_string())
            })
            .sum();
        TOKENS_AROUND + messages + tools
    }

    /// What the answer is about: the last message that says anything.
    pub(super) fn last_text(&self) -> String {
        self.messages
            .iter()
            .rev()
            .map(Message::text)
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    }

    pub(super) fn stops(&self) -> &[String] {
        match &self.stop {
            None => &[],
            Some(Stop::One(stop)) => std::slice::from_ref(stop),
            Some(Stop::Many(stops)) => stops,
        }
    }

    /// The function that `tool_choice` forces, if it does.
    pub(super) fn forced_function(&self) -> Option<&Function> {
        match self.tool_choice.as_ref()? {
            Value::String(choice) if choice == "required" => self.functions().next(),
            Value::Object(choice) => {
                let name = choice.get("function")?.get("name")?.as_str()?;
                self.functions().find(|function| function.name == name)
            }
            _ => None,
        }
    }

    fn functions(&self) -> impl Iterator<Item = &Function> {
        self.tools
            .iter()
            .flatten()
            .filter_map(|tool| tool.function.as_ref())
    }
}
