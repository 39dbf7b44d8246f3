//! What a start puts into the database: the first management key, providers whose keys the environment has, the demo.

mod admin_key;
mod demo;
mod providers;

use std::sync::Arc;

use tollgate_domain::ids::AuditEntryId;
use tollgate_domain::{Clock, IdSource};
use tollgate_management::SecretSource;
use tollgate_storage::audit::{self, NewAuditEntry};
use tollgate_storage::{StorageError, Store, Tx};

pub(crate) use admin_key::{create_management_key, ensure_admin_key};
pub(crate) use demo::{DemoKeys, ensure_demo};
pub(crate) use providers::register_providers;

/// Who did it, in the audit trail: nobody on the API.
const ACTOR: &str = "tollgate (start)";

/// What writes at the start need.
#[derive(Clone)]
pub(crate) struct Founding {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) secrets: Arc<dyn SecretSource>,
}

impl Founding {
    /// Puts the creation of a thing into the audit trail, in the transaction that made it.
    async fn record(
        &self,
        tx: &mut Tx,
        target_kind: &'static str,
        target_id: impl ToString,
    ) -> Result<(), StorageError> {
        let entry = NewAuditEntry {
            id: AuditEntryId::from_uuid(self.ids.next_uuid()),
            at: self.clock.now(),
            actor: ACTOR.to_owned(),
            action: "create",
            target_kind,
            target_id: target_id.to_string(),
            profile: None,
            user: None,
            previous_values: None,
            new_values: None,
            metadata: None,
        };
        audit::append(tx, entry).await
    }
}
