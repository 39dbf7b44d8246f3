//! The policy in force, as the management API looks at it.

use std::sync::Arc;

use tollgate_domain::access::{Decision, Explain, Question, UnknownSubject};
use tollgate_domain::snapshot::Snapshot;
use tollgate_gate::Gate;
use tollgate_management::Policy;

/// The gate's policy. The management API does not know the gate, and the gate does not know the management API.
pub(crate) struct LivePolicy(pub(crate) Arc<Gate>);

impl Explain for LivePolicy {
    fn explain(&self, question: &Question<'_>) -> Result<Decision, UnknownSubject> {
        self.0.explain(question)
    }
}

impl Policy for LivePolicy {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot()
    }
}
