//! The holder's own view: what is left of every limit that a virtual key meets.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use tollgate_domain::Timestamp;
use tollgate_domain::limits::Meter;
use tollgate_domain::snapshot::{KeyHolder, Snapshot, VirtualKey};
use utoipa::ToSchema;
use utoipa_axum::routes;

use crate::answers::Refusals;
use crate::extract::Json;
use crate::meters::{LimitReading, copy_meters, read_meters};
use crate::operations::Operations;
use crate::problem::{Answer, Problem};
use crate::secrets::{MANAGEMENT_KEY_PREFIX, VIRTUAL_KEY_PREFIX, hash_secret};
use crate::state::ManagementState;

/// Headers in which the data plane takes a key.
const KEY_HEADERS: [&str; 6] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    "x-tollgate-key",
    "x-bf-vk",
];

/// The one operation whose credential is a virtual key.
pub(crate) fn operations() -> Operations {
    Operations::new().routes(|| routes!(get_virtual_key_quota))
}

/// What is left for a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Quota {
    virtual_key: QuotaKey,
    /// Every limit that a request of the key meets: its own, its holder's copies', and those of the groups above.
    limits: Vec<LimitReading>,
}

/// The key that asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuotaKey {
    id: String,
    name: String,
    /// Whether the data plane takes it: false also while its user is inactive.
    is_active: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Set when the key was rotated and this was asked with the secret from before: until when it is honoured.
    #[schema(value_type = Option<String>, format = DateTime)]
    secret_honoured_until: Option<Timestamp>,
}

/// See what is left
///
/// The credential is the virtual key itself, in any of the headers that the data plane takes.
#[utoipa::path(
    get, path = "/virtual-keys/quota", tag = "virtual keys",
    responses((status = 200, body = Quota), Refusals),
    security(("virtual_key" = []))
)]
pub(crate) async fn get_virtual_key_quota(
    State(state): State<ManagementState>,
    headers: HeaderMap,
) -> Answer<Json<Quota>> {
    let parts = state.parts();
    let hash = hash_secret(find_secret(&headers)?);
    let (snapshot, now) = (parts.policy.snapshot(), parts.clock.now());
    let key = snapshot
        .key_by_hash(&hash, now)
        .ok_or_else(|| Problem::unauthenticated("this virtual key is unknown or was replaced"))?;
    let meters = meters_of(&snapshot, key, now);
    let has_active_holder = match key.holder {
        KeyHolder::User(id) => snapshot.user(id).is_some_and(|user| user.is_active),
        KeyHolder::Group(_) | KeyHolder::Itself => true,
    };
    Ok(Json(Quota {
        virtual_key: QuotaKey {
            id: key.id.to_string(),
            name: key.name.to_string(),
            is_active: key.is_active && has_active_holder,
            expires_at: key.expires_at,
            secret_honoured_until: key
                .secrets
                .iter()
                .find_map(|(own, until)| (*own == hash).then_some(*until)?),
        },
        limits: read_meters(&meters, parts.live.as_ref(), now),
    }))
}

/// The one virtual key that the request carries.
pub(crate) fn find_secret(headers: &HeaderMap) -> Answer<&str> {
    let mut found: Option<&str> = None;
    for name in KEY_HEADERS {
        for value in headers.get_all(name) {
            let text = value.to_str().unwrap_or_default().trim();
            let text = match text.split_once(' ') {
                Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
                _ => text,
            };
            if text.starts_with(MANAGEMENT_KEY_PREFIX) {
                return Err(Problem::unauthenticated(
                    "this shows a virtual key's own limits; send the virtual key, not a management key",
                ));
            }
            if !text.starts_with(VIRTUAL_KEY_PREFIX) {
                continue;
            }
            if found.is_some_and(|earlier| earlier != text) {
                return Err(Problem::unauthenticated(
                    "two different virtual keys were sent",
                ));
            }
            found = Some(text);
        }
    }
    found.ok_or_else(|| {
        Problem::unauthenticated("send the virtual key as `Authorization: Bearer sk-tg-…`")
    })
}

/// Every meter that a request of the key may meet, nearest first.
pub(crate) fn meters_of(snapshot: &Snapshot, key: &VirtualKey, now: Timestamp) -> Vec<Arc<Meter>> {
    let mut meters = key.meters.clone();
    for grant in &key.grants {
        meters.extend(grant.meters.iter().cloned());
        let of_models = grant.model_meters.iter().flat_map(|line| &line.meters);
        meters.extend(of_models.cloned());
    }
    meters.extend(meters_of_holder(snapshot, key.holder, now));
    meters
}

/// Every meter that a request for this holder may meet, nearest first.
pub(crate) fn meters_of_holder(
    snapshot: &Snapshot,
    holder: KeyHolder,
    now: Timestamp,
) -> Vec<Arc<Meter>> {
    let mut meters = Vec::new();
    let mut above = Vec::new();
    match holder {
        KeyHolder::User(id) => {
            if let Some(user) = snapshot.user(id) {
                for copy in user.copies.iter().filter(|copy| copy.is_live(now)) {
                    meters.extend(copy_meters(copy));
                }
                above.extend(user.groups.iter().copied());
            }
        }
        KeyHolder::Group(id) => above.push(id),
        KeyHolder::Itself => {}
    }
    let mut seen = Vec::new();
    while let Some(id) = above.pop() {
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        if let Some(group) = snapshot.group(id) {
            meters.extend(group.meters.iter().cloned());
            if let Some(profile) = &group.profile
                && profile.copy.is_live(now)
            {
                meters.extend(copy_meters(&profile.copy));
            }
            above.extend(group.parents.iter().copied());
        }
    }
    meters
}
