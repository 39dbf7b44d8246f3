//! The facts of a request that policy looks at.

/// What kind of work is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Chat completions.
    ChatCompletions,
    /// Embeddings.
    Embeddings,
}

impl Endpoint {
    /// Every endpoint, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::ChatCompletions, Self::Embeddings];

    /// As the request log, metrics and `explain` write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// The endpoint that [`Self::as_str`] writes as `text`.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.as_str() == text)
    }

    /// Whether an answer has output tokens that cost money.
    pub const fn has_output(self) -> bool {
        matches!(self, Self::ChatCompletions)
    }
}

/// One request for a model.
#[derive(Debug, Clone, Copy)]
pub struct ModelRequest<'a> {
    /// What kind of work.
    pub endpoint: Endpoint,
    /// The model as the caller wrote it, `provider/model` or bare.
    pub model: &'a str,
    /// Size of the whole body.
    pub body_bytes: u64,
    /// The input in tokens, when the caller of `explain` knows it.
    pub input_tokens: Option<u64>,
    /// The output limit that the request names, for one choice.
    pub max_output_tokens: Option<u64>,
    /// How many answers are asked for; at least 1.
    pub choices: u64,
    /// Whether images or audio are in it, whose tokens do not follow from the size of the body.
    pub has_media: bool,
    /// What in the request cannot be bounded (a remote file, a server-side tool), when something is.
    pub unbounded: Option<&'a str>,
}

impl ModelRequest<'_> {
    /// Whether its input is nothing but the text of its body.
    pub const fn is_text(&self) -> bool {
        !self.has_media && self.unbounded.is_none()
    }
}

/// One call of a tool of an MCP client.
#[derive(Debug, Clone, Copy)]
pub struct ToolRequest<'a> {
    /// The client's id or name.
    pub client: &'a str,
    /// The tool; `None` = any one of the client's tools.
    pub tool: Option<&'a str>,
}

/// A request for whatever model.
#[derive(Debug, Clone, Copy)]
pub struct AnyModelRequest<'a> {
    /// Where it goes; `None` = to any provider.
    pub provider: Option<&'a str>,
    /// Input and output together, as far as they are known.
    pub tokens: u64,
}
