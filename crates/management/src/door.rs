//! The door of `/api`: a management key as a bearer token, and nothing else.

use std::collections::BTreeSet;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, header};
use tollgate_domain::Timestamp;
use tollgate_domain::ids::{ManagementKeyId, PermissionId};
use tollgate_domain::permission::Permission;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_storage::management_keys::{self, ManagementKey};
use tollgate_storage::{StorageError, Store};

use crate::problem::{Answer, Problem};
use crate::secrets::{MANAGEMENT_KEY_PREFIX, VIRTUAL_KEY_PREFIX, hash_secret};
use crate::state::ManagementState;

/// What every refusal ends with.
const ACCEPTED: &str = "the management API accepts only `Authorization: Bearer <management API key>` (starting with `tgm-`)";

/// How often the use of a key is noted, in microseconds.
const NOTED_EVERY: i64 = 60 * MICROS_PER_SECOND;

/// Who asks, and what they may do.
#[derive(Debug, Clone)]
pub(crate) struct Actor {
    key: ManagementKey,
}

impl Actor {
    /// As audit entries name it.
    pub(crate) fn id(&self) -> String {
        self.key.id.to_string()
    }

    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.key.allows(permission.id())
    }

    /// What the actor can hand on; `None` = everything.
    pub(crate) const fn scopes(&self) -> Option<&BTreeSet<PermissionId>> {
        self.key.scopes.as_ref()
    }
}

/// Lets nobody pass without a valid management key.
pub(crate) async fn authenticate(
    State(state): State<ManagementState>,
    mut request: Request,
    next: Next,
) -> Response {
    match find_actor(&state, request.headers(), request.uri().query()).await {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

async fn find_actor(
    state: &ManagementState,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Answer<Actor> {
    let token = bearer_token(headers, query)?;
    let parts = state.parts();
    let key = management_keys::find_by_hash(&parts.store, &hash_secret(token))
        .await?
        .ok_or_else(|| refusal("this management API key is unknown or revoked"))?;
    let now = parts.clock.now();
    if key.expires_at.is_some_and(|until| until <= now) {
        return Err(refusal("this management API key has expired"));
    }
    let is_noted = key
        .last_used_at
        .is_some_and(|at| now.micros_since(at) < NOTED_EVERY);
    if !is_noted {
        note_use(state, key.id, now);
    }
    Ok(Actor { key })
}

fn refusal(what: &str) -> Problem {
    Problem::unauthenticated(format!("{what}; {ACCEPTED}"))
}

/// Keeps `last_used_at` to the minute. Nobody waits for it: a read must not queue behind writes.
fn note_use(state: &ManagementState, id: ManagementKeyId, now: Timestamp) {
    if !state.start_noting(id) {
        return;
    }
    let state = state.clone();
    let tasks = state.parts().tasks.clone();
    tasks.spawn(async move {
        if let Err(error) = touch(&state.parts().store, id, now).await {
            tracing::warn!(cause = %error, "the use of a management key was not noted");
        }
        state.end_noting(id);
    });
}

async fn touch(store: &Store, id: ManagementKeyId, now: Timestamp) -> Result<(), StorageError> {
    let mut tx = store.begin().await?;
    management_keys::touch(&mut tx, id, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}

/// The token, if the request comes with one of the right kind and in the right place.
fn bearer_token<'a>(headers: &'a HeaderMap, query: Option<&str>) -> Answer<&'a str> {
    let refuse = |what: &str| Err(refusal(what));
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let Some(first) = given.next() else {
        return refuse(other_credential(headers, query));
    };
    if given.next().is_some() {
        return refuse("two `Authorization` headers were sent");
    }
    let Ok(text) = first.to_str() else {
        return refuse("the `Authorization` header is not readable");
    };
    let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return refuse("this kind of `Authorization` is not accepted here");
    }
    if token.starts_with(VIRTUAL_KEY_PREFIX) {
        return refuse("a virtual key opens the data plane, not the management API");
    }
    if !token.starts_with(MANAGEMENT_KEY_PREFIX) {
        return refuse("this bearer token is no management API key");
    }
    Ok(token)
}

/// What was sent instead.
fn other_credential(headers: &HeaderMap, query: Option<&str>) -> &'static str {
    let has_key_in_query = query.is_some_and(|query| {
        query.split('&').any(|pair| {
            matches!(
                pair.split('=').next(),
                Some("key" | "api_key" | "access_token")
            )
        })
    });
    if headers.contains_key("x-api-key") || headers.contains_key("api-key") {
        "an `x-api-key` header is not accepted here"
    } else if headers.contains_key(header::COOKIE) {
        "dashboard sessions and cookies are not accepted here"
    } else if has_key_in_query {
        "keys in the query are not accepted here"
    } else {
        "no credential was sent"
    }
}
