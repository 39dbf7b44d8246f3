//! What makes the cost of a request unboundable, in the words of a refusal.

pub(crate) const REMOTE: &str = "a file or image that the provider fetches";
pub(crate) const MEDIA: &str = "an image, audio or file, whose tokens do not follow from its size";
pub(crate) const SERVER_TOOL: &str = "a tool that runs at the provider";
pub(crate) const CONVERSATION: &str = "a conversation that is stored at the provider";

/// The first thing that cannot be bounded.
#[derive(Debug, Default)]
pub(crate) struct Findings(pub(crate) Option<&'static str>);

impl Findings {
    pub(crate) fn add(&mut self, reason: &'static str) {
        self.0.get_or_insert(reason);
    }
}
