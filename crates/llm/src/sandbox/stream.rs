//! Chat answers as a stream: a role event, an event for each token, and a finish event for each choice; then usage, when
//! it was asked for; then the end.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::{Reply, Says};
use super::tokenizer::tokens;

/// The events of one answer, made one by one.
#[derive(Debug)]
pub(super) struct Events {
    reply: Reply,
    shows_usage: bool,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Role {
        choice: usize,
    },
    /// `from` is the byte of the text at which the next token starts.
    Token {
        choice: usize,
        from: usize,
    },
    Usage,
    Done,
    Nothing,
}

impl Events {
    pub(super) fn new(reply: Reply, shows_usage: bool) -> Self {
        Self {
            reply,
            shows_usage,
            next: Next::Role { choice: 0 },
        }
    }

    fn chunk(&self, choices: &Value, usage: Value) -> Bytes {
        let mut chunk = json!({
            "id": self.reply.id,
            "object": "chat.completion.chunk",
            "created": self.reply.created,
            "model": self.reply.model,
            "service_tier": "default",
            "system_fingerprint": "sandbox",
            "choices": choices,
        });
        if self.shows_usage {
            chunk["usage"] = usage;
        }
        format!("data: {chunk}\n\n").into()
    }

    fn delta(&self, choice: usize, delta: &Value, finish_reason: Option<&str>) -> Bytes {
        let choices = json!([{
            "index": choice,
            "delta": delta,
            "logprobs": null,
            "finish_reason": finish_reason,
        }]);
        self.chunk(&choices, Value::Null)
    }

    fn role(&self, choice: usize) -> Value {
        match &self.reply.says {
            Says::Text(_) => json!({"role": "assistant", "content": "", "refusal": null}),
            Says::Call { name, .. } => json!({
                "role": "assistant",
                "content": null,
                "tool_calls": [{
                    "index": 0,
                    "id": self.reply.call_id(choice),
                    "type": "function",
                    "function": {"name": name, "arguments": ""},
                }],
            }),
        }
    }

    /// What comes when a choice has ended.
    const fn after(&self, choice: usize) -> Next {
        if choice + 1 < self.reply.choices {
            Next::Role { choice: choice + 1 }
        } else if self.shows_usage {
            Next::Usage
        } else {
            Next::Done
        }
    }

    /// The delta that starts at this byte, and the byte after it; `None` when all was said.
    fn token(&self, from: usize) -> Option<(Value, usize)> {
        let text = match &self.reply.says {
            Says::Text(text) => text,
            Says::Call { arguments, .. } => arguments,
        };
        let token = tokens(text.get(from..)?).next()?;
        let delta = match &self.reply.says {
            Says::Text(_) => json!({ "content": token }),
            Says::Call { .. } => {
                json!({"tool_calls": [{"index": 0, "function": {"arguments": token}}]})
            }
        };
        Some((delta, from + token.len()))
    }
}

impl Iterator for Events {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let (event, next) = match self.next {
            Next::Role { choice } => (
                self.delta(choice, &self.role(choice), None),
                Next::Token { choice, from: 0 },
            ),
            Next::Token { choice, from } => {
                if let Some((delta, after)) = self.token(from) {
                    let next = Next::Token {
                        choice,
                        from: after,
                    };
                    (self.delta(choice, &delta, None), next)
                } else {
                    let reason = Some(self.reply.finish_reason);
                    (self.delta(choice, &json!({}), reason), self.after(choice))
                }
            }
            Next::Usage => (self.chunk(&json!([]), self.reply.usage()), Next::Done),
            Next::Done => (Bytes::from_static(b"data: [DONE]\n\n"), Next::Nothing),
            Next::Nothing => return None,
        };
        self.next = next;
        Some(event)
    }
}
