//! Answers of a provider in OpenAI's dialect.

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_domain::TokenUsage;

use super::request::ProviderRequest;
use super::script::{Gate, Script, Step};

/// What goes wrong in the middle of an answer.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The connection is reset.
    Reset,
    /// The connection is closed before the answer is complete.
    Close,
    /// Half an event (or half a body) is sent, then the connection is closed.
    HalfEvent,
    /// These bytes are sent in the place of an event, then the answer goes on.
    Garbage(Bytes),
    /// Nothing more comes.
    Hang,
    /// The answer ends in good order, but without the events that end a stream.
    EarlyEnd,
}

/// A chat answer (or embeddings, when these are asked for), plain or streamed as the request wants it.
#[derive(Debug, Clone)]
pub struct Chat {
    pieces: Vec<String>,
    tool_call: Option<(String, String)>,
    usage: TokenUsage,
    reports_usage: bool,
    gate: Option<Gate>,
    fault: Option<(usize, Fault)>,
}

impl Default for Chat {
    /// `Hello there!` in three pieces, 10 input and 3 output tokens.
    fn default() -> Self {
        Self {
            pieces: ["Hello", " there", "!"].map(str::to_owned).into(),
            tool_call: None,
            usage: TokenUsage {
                input: 10,
                output: 3,
                ..TokenUsage::default()
            },
            reports_usage: true,
            gate: None,
            fault: None,
        }
    }
}

impl Chat {
    /// A stream sends each piece as one event.
    #[must_use]
    pub fn pieces<S: Into<String>>(mut self, pieces: impl IntoIterator<Item = S>) -> Self {
        self.pieces = pieces.into_iter().map(Into::into).collect();
        self
    }

    /// Calls a tool with these arguments (a JSON text).
    #[must_use]
    pub fn tool_call(mut self, name: &str, arguments: &str) -> Self {
        self.tool_call = Some((name.to_owned(), arguments.to_owned()));
        self
    }

    /// The tokens it consumes, and reports unless told otherwise.
    #[must_use]
    pub fn usage(mut self, input: u64, output: u64) -> Self {
        self.usage.input = input;
        self.usage.output = output;
        self
    }

    /// Like [`Self::usage`], with every kind of token.
    #[must_use]
    pub fn full_usage(mut self, usage: TokenUsage) -> Self {
        self.usage = usage;
        self
    }

    /// Never says what it consumed.
    #[must_use]
    pub fn without_usage(mut self) -> Self {
        self.reports_usage = false;
        self
    }

    /// Waits at `gate` before each piece of a stream, before its end, and before the whole of a plain answer.
    #[must_use]
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Breaks after so many pieces of a stream, or inside the body of a plain answer.
    #[must_use]
    pub fn broken_after(mut self, pieces: usize, fault: Fault) -> Self {
        self.fault = Some((pieces, fault));
        self
    }

    /// The steps that answer `request`.
    pub fn script(&self, request: &ProviderRequest) -> Script {
        if request.path.contains("/embeddings") {
            self.embeddings(request)
        } else if request.is_stream() {
            self.stream(request)
        } else {
            self.plain(request)
        }
    }

    fn plain(&self, request: &ProviderRequest) -> Script {
        let mut message = json!({"role": "assistant", "content": self.pieces.concat()});
        if let Some((name, arguments)) = &self.tool_call {
            message["content"] = Value::Null;
            message["tool_calls"] = json!([tool_call(name, arguments)]);
        }
        let mut body = json!({
            "id": "chatcmpl-mock",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": request.model(),
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": self.finish_reason()}],
        });
        if self.reports_usage {
            body["usage"] = usage(&self.usage);
        }
        self.whole(&body)
    }

    fn embeddings(&self, request: &ProviderRequest) -> Script {
        let count = match &request.json()["input"] {
            Value::Array(inputs) => inputs.len(),
            _ => 1,
        };
        let data: Vec<Value> = (0..count)
            .map(
                |index| json!({"object": "embedding", "index": index, "embedding": [0.25, -0.5, 1.0]}),
            )
            .collect();
        let input = self.usage.total_input();
        let mut body = json!({"object": "list", "data": data, "model": request.model()});
        if self.reports_usage {
            body["usage"] = json!({"prompt_tokens": input, "total_tokens": input});
        }
        self.whole(&body)
    }

    /// One body with a length.
    fn whole(&self, body: &Value) -> Script {
        let mut script = self.wait(Script::default()).then(Step::Bill(self.usage));
        let whole = Script::json(200, body);
        let Some((_, fault)) = &self.fault else {
            script.steps.extend(whole.steps);
            return script;
        };
        for step in whole.steps {
            match step {
                Step::Send(bytes) if bytes.starts_with(b"{") => {
                    script = script.send(bytes.slice(..bytes.len() / 2));
                }
                other => script = script.then(other),
            }
        }
        match fault {
            Fault::Garbage(bytes) => script.send(bytes.clone()).then(Step::Close),
            Fault::Reset => script.then(Step::Reset),
            Fault::Hang => script.then(Step::Hang),
            Fault::Close | Fault::HalfEvent | Fault::EarlyEnd => script.then(Step::Close),
        }
    }

    fn stream(&self, request: &ProviderRequest) -> Script {
        let event = |delta: &Value, finish: Option<&str>| {
            json!({
                "id": "chatcmpl-mock",
                "object": "chat.completion.chunk",
                "created": 1_700_000_000,
                "model": request.model(),
                "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}],
            })
        };
        let mut script = Script::chunked(200, &[("content-type", "text/event-stream")])
            .then(Step::Bill(TokenUsage {
                output: 0,
                reasoning: 0,
                audio_output: 0,
                ..self.usage
            }))
            .chunk(&sse(&event(
                &json!({"role": "assistant", "content": ""}),
                None,
            )));
        let deltas = self.deltas();
        let count = u64::try_from(deltas.len()).expect("few pieces");
        for (index, delta) in deltas.iter().enumerate() {
            if let Some((after, fault)) = &self.fault
                && *after == index
            {
                match fault {
                    Fault::Garbage(bytes) => script = script.chunk(bytes),
                    Fault::EarlyEnd => return script.last_chunk(),
                    Fault::Reset => return script.then(Step::Reset),
                    Fault::Close => return script.then(Step::Close),
                    Fault::Hang => return script.then(Step::Hang),
                    Fault::HalfEvent => {
                        let whole = sse(&event(delta, None));
                        return script.chunk(&whole[..whole.len() / 2]).then(Step::Close);
                    }
                }
            }
            // Each piece has its share of the work; the last one has what is left over, and the unseen reasoning.
            let mut work = TokenUsage {
                output: self.usage.output / count,
                ..TokenUsage::default()
            };
            if index + 1 == deltas.len() {
                work.output += self.usage.output % count;
                work.reasoning = self.usage.reasoning;
                work.audio_output = self.usage.audio_output;
            }
            script = self
                .wait(script)
                .then(Step::Bill(work))
                .chunk(&sse(&event(delta, None)));
        }
        script = self
            .wait(script)
            .chunk(&sse(&event(&json!({}), Some(self.finish_reason()))));
        if self.reports_usage && request.asks_for_usage() {
            let mut last = event(&json!({}), None);
            last["choices"] = json!([]);
            last["usage"] = usage(&self.usage);
            script = script.chunk(&sse(&last));
        }
        script.chunk(b"data: [DONE]\n\n").last_chunk()
    }

    fn deltas(&self) -> Vec<Value> {
        match &self.tool_call {
            Some((name, arguments)) => {
                let mut call = tool_call(name, arguments);
                call["index"] = json!(0);
                vec![json!({"tool_calls": [call]})]
            }
            None => self
                .pieces
                .iter()
                .map(|piece| json!({"content": piece}))
                .collect(),
        }
    }

    fn finish_reason(&self) -> &'static str {
        if self.tool_call.is_some() {
            "tool_calls"
        } else {
            "stop"
        }
    }

    fn wait(&self, script: Script) -> Script {
        match &self.gate {
            Some(gate) => script.then(Step::Await(gate.clone())),
            None => script,
        }
    }
}

fn tool_call(name: &str, arguments: &str) -> Value {
    json!({"id": "call_mock", "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// Usage as OpenAI reports it: cached tokens inside the input, reasoning inside the output.
fn usage(usage: &TokenUsage) -> Value {
    json!({
        "prompt_tokens": usage.total_input(),
        "completion_tokens": usage.total_output(),
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output},
    })
}

fn sse(event: &Value) -> Vec<u8> {
    format!("data: {event}\n\n").into_bytes()
}
