//! What a write says of itself in the audit trail.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
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
    metadata: BTreeMap<String, Box<RawValue>>,
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
            metadata: BTreeMap::new(),
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

    /// More about the act: the fields of `facts`, beside those that it has.
    pub(crate) fn with(mut self, facts: &impl Serialize) -> Self {
        let facts = serde_json::to_string(facts).unwrap_or_default();
        let facts: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(&facts).unwrap_or_default();
        self.metadata.extend(facts);
        self
    }

    /// Names the limits whose usage does not go on, if there are any.
    pub(crate) fn starting_anew(self, limits: &[impl Serialize]) -> Self {
        if limits.is_empty() {
            return self;
        }
        self.with(&BTreeMap::from([("usage_starts_anew", limits)]))
    }

    fn metadata(&self) -> Option<String> {
        if self.metadata.is_empty() {
            return None;
        }
        serde_json::to_string(&self.metadata).ok()
    }
}

impl Context {
    /// Writes the entry, in the transaction of what it tells of.
    pub(crate) async fn record(&self, tx: &mut Tx, act: Act) -> Answer<()> {
        let entry = NewAuditEntry {
            id: AuditEntryId::from_uuid(self.parts().ids.next_uuid()),
            at: self.now(),
            actor: self.actor().id(),
            metadata: act.metadata(),
            action: act.action,
            target_kind: act.kind,
            target_id: act.target,
            profile: act.profile,
            user: act.user,
            previous_values: act.before,
            new_values: act.after,
        };
        Ok(audit::append(tx, entry).await?)
    }
}
