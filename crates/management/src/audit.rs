//! What a write says of itself in the audit trail.

use serde::Serialize;
use tollgate_domain::ids::{AuditEntryId, ProfileId, UserId};
use tollgate_storage::audit::NewAuditEntry;
use tollgate_storage::{Tx, audit};

use crate::context::Context;
use crate::problem::Answer;

/// The id of what something was done to, whatever its kind.
pub(crate) struct Target(String);

impl<T: std::fmt::Display> From<T> for Target {
    fn from(id: T) -> Self {
        Self(id.to_string())
    }
}

/// One act.
#[derive(Debug)]
pub(crate) struct Act {
    action: &'static str,
    kind: &'static str,
    target: String,
    profile: Option<ProfileId>,
    user: Option<UserId>,
    before: Option<String>,
    after: Option<String>,
    metadata: Option<String>,
}

impl Act {
    /// `action` done to the thing of this kind with this id.
    pub(crate) fn new(action: &'static str, kind: &'static str, target: impl Into<Target>) -> Self {
        Self {
            action,
            kind,
            target: target.into().0,
            profile: None,
            user: None,
            before: None,
            after: None,
            metadata: None,
        }
    }

    /// Done to an access profile, or about one.
    pub(crate) const fn about_profile(mut self, id: ProfileId) -> Self {
        self.profile = Some(id);
        self
    }

    /// About a user.
    pub(crate) const fn about_user(mut self, id: UserId) -> Self {
        self.user = Some(id);
        self
    }

    /// The thing before, as an answer would show it: without secrets.
    pub(crate) fn before(mut self, view: &impl Serialize) -> Self {
        self.before = serde_json::to_string(view).ok();
        self
    }

    /// The thing after.
    pub(crate) fn after(mut self, view: &impl Serialize) -> Self {
        self.after = serde_json::to_string(view).ok();
        self
    }

    /// More about the act.
    pub(crate) fn with(mut self, metadata: &impl Serialize) -> Self {
        self.metadata = serde_json::to_string(metadata).ok();
        self
    }
}

impl Context {
    /// Writes the entry, in the transaction of what it tells of.
    pub(crate) async fn record(&self, tx: &mut Tx, act: Act) -> Answer<()> {
        let entry = NewAuditEntry {
            id: AuditEntryId::from_uuid(self.parts().ids.next_uuid()),
            at: self.now(),
            actor: self.actor().id(),
            action: act.action,
            target_kind: act.kind,
            target_id: act.target,
            profile: act.profile,
            user: act.user,
            previous_values: act.before,
            new_values: act.after,
            metadata: act.metadata,
        };
        Ok(audit::append(tx, entry).await?)
    }
}
