//! What makes the cost of a request hard or impossible to bound.

pub(crate) const REMOTE: &str = "a file or image that the provider fetches";
pub(crate) const FILE: &str = "a file, whose tokens do not follow from its size";
pub(crate) const SERVER_TOOL: &str = "a tool that runs at the provider";
pub(crate) const CONVERSATION: &str = "a conversation that is stored at the provider";

/// What was found in a request.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Images or audio, whose tokens do not follow from their size; all of them fit the model's context.
    pub(crate) has_media: bool,
    /// The first thing that cannot be bounded, in the words of a refusal.
    pub(crate) unbounded: Option<&'static str>,
}

impl Findings {
    pub(crate) fn add(&mut self, reason: &'static str) {
        self.unbounded.get_or_insert(reason);
    }
}
