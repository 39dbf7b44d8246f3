use axum::extract::State;
use http::{HeaderMap, StatusCode};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::ids::AuditEntryId;
use tollgate_domain::snapshot::{KeyHolder, Snapshot};
use tollgate_storage::audit::{self, NewAuditEntry};
use tollgate_storage::virtual_keys::{self, VirtualKey, waiting};
use utoipa::ToSchema;

use crate::answers::Refusals;
use crate::context::{Resets, commit};
use crate::extract::Json;
use crate::problem::{Answer, Problem};
use crate::quota::find_secret;
use crate::secrets::hash_secret;
use crate::state::ManagementState;

/// A key's new secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CollectedSecret {
    virtual_key: CollectedKey,
}

/// The key, with its secret for the only time.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CollectedKey {
    id: String,
    name: String,
    /// The new secret, in this answer only.
    value: String,
    /// Until when the secret that was shown for it is honoured too.
    #[schema(value_type = Option<String>, format = DateTime)]
    previous_value_until: Option<Timestamp>,
}

/// Collect the secret of a scheduled rotation
///
/// The credential is the virtual key itself, with the secret from before the rotation, in any of the headers that the
/// data plane takes. The new secret is handed out once; afterwards it is kept only as a hash.
#[utoipa::path(
    post, path = "/virtual-keys/collect", tag = "virtual keys",
    responses((status = 200, body = CollectedSecret), Refusals),
    security(("virtual_key" = []))
)]
pub(crate) async fn collect_virtual_key_secret(
    State(state): State<ManagementState>,
    headers: HeaderMap,
) -> Answer<Json<CollectedSecret>> {
    let parts = state.parts();
    let hash = hash_secret(find_secret(&headers)?);
    // The database, not the snapshot: two collectors at once stand in line here.
    let mut tx = parts.store.begin().await?;
    let now = parts.clock.now();
    let key = virtual_keys::find_by_hash(&mut tx, &hash, now)
        .await?
        .ok_or_else(|| Problem::unauthenticated("this virtual key is unknown or was replaced"))?;
    check_live(&parts.policy.snapshot(), &key, now)?;
    let secret = waiting::take(&mut tx, key.id, now)
        .await?
        .ok_or_else(|| Problem::not_found("new secret that waits for the virtual key", key.id))?;
    let entry = NewAuditEntry {
        id: AuditEntryId::from_uuid(parts.ids.next_uuid()),
        at: now,
        actor: key.id.to_string(),
        action: "collect_secret",
        target_kind: "virtual_key",
        target_id: key.id.to_string(),
        profile: None,
        user: match key.holder {
            KeyHolder::User(user) => Some(user),
            _ => None,
        },
        previous_values: None,
        new_values: None,
        metadata: Some(
            serde_json::json!({"name": key.name, "value": key.masked_value}).to_string(),
        ),
    };
    audit::append(&mut tx, entry).await?;
    commit(&state, tx, (), Resets::None).await?;
    Ok(Json(CollectedSecret {
        virtual_key: CollectedKey {
            id: key.id.to_string(),
            name: key.name,
            value: secret.expose_secret().to_owned(),
            previous_value_until: key.previous_until,
        },
    }))
}

/// A key that opens nothing gets no new secret.
fn check_live(snapshot: &Snapshot, key: &VirtualKey, now: Timestamp) -> Answer<()> {
    let has_holder = match key.holder {
        KeyHolder::User(id) => snapshot.user(id).is_some_and(|user| user.is_active),
        _ => true,
    };
    let is_expired = key.expires_at.is_some_and(|until| until <= now);
    if key.is_active && !is_expired && has_holder {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "access_blocked",
        "this virtual key, or its holder, is inactive or expired",
    ))
}
