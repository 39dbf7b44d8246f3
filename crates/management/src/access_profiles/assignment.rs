//! Giving profiles to users, and taking them away: used by hand, by roles and by attaching.

use std::collections::BTreeMap;

use tollgate_domain::Timestamp;
use tollgate_domain::access::profile::{AccessProfile, ProfileContent, UserCopy};
use tollgate_domain::ids::{CopyId, UserId, VirtualKeyId};
use tollgate_domain::snapshot::KeyHolder;
use tollgate_storage::copies::{CopySource, StoredCopy};
use tollgate_storage::users::User;
use tollgate_storage::virtual_keys::VirtualKey;
use tollgate_storage::{Constraint, StorageError, Tx, copies, virtual_keys};

use super::copying::{Field, take_over};
use crate::audit::Act;
use crate::context::Context;
use crate::limits::StartsAnew;
use crate::problem::{Answer, Problem};
use crate::secrets::{NewSecret, VIRTUAL_KEY_PREFIX};

/// How a profile is given to a user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) source: CopySource,
    pub(crate) priority: Option<i64>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// A copy that a user got, and the key that came with it.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) copy: StoredCopy,
    pub(crate) key: Option<IssuedKey>,
}

/// A key just made, with its secret for the only time.
#[derive(Debug)]
pub(crate) struct IssuedKey {
    pub(crate) key: VirtualKey,
    pub(crate) secret: NewSecret,
}

/// Gives the profile to the user: a new copy, or the one that was taken away or has expired, with its counters. The user
/// gets a key when there is none. Nothing happens, and `None` comes back, when the user holds the profile.
pub(crate) async fn assign(
    ctx: &Context,
    tx: &mut Tx,
    user: &User,
    profile: &AccessProfile,
    terms: Terms,
) -> Answer<Option<Assigned>> {
    let existing = copies::find_of(&mut *tx, user.id, profile.id).await?;
    if existing
        .as_ref()
        .is_some_and(|stored| is_held(stored, ctx.now()))
    {
        return Ok(None);
    }
    // Of a copy that is new everything is.
    let mut restarted = Vec::new();
    let copy = if let Some(old) = existing {
        let revived = revive(old.clone(), profile, terms, ctx.now());
        copies::update(tx, &revived).await?;
        let (before, after) = (&old.copy.content, &revived.copy.content);
        restarted = StartsAnew::find_live(ctx, before, after, revived.copy.assigned_at);
        revived
    } else {
        let id = CopyId::from_uuid(ctx.parts().ids.next_uuid());
        let made = first_copy(id, user.id, profile, terms, ctx.now());
        copies::create(tx, &made).await?;
        made
    };
    let has_key = !virtual_keys::of_user(&mut *tx, user.id).await?.is_empty();
    let key = if has_key {
        None
    } else {
        Some(issue_first_key(ctx, tx, user).await?)
    };
    let act = Act::new("assign", "access_profile", profile.id)
        .about_profile(profile.id)
        .about_user(user.id)
        .with(&serde_json::json!({
            "copy_id": copy.copy.id.to_string(),
            "source": copy.source.as_str(),
            "profile_version": profile.version,
        }))
        .starting_anew(&restarted);
    ctx.record(tx, act).await?;
    Ok(Some(Assigned { copy, key }))
}

/// Whether the copy grants anything by being there.
fn is_held(stored: &StoredCopy, now: Timestamp) -> bool {
    let is_running = stored.copy.expires_at.is_none_or(|end| now < end);
    stored.detached_at.is_none() && is_running
}

fn first_copy(
    id: CopyId,
    user: UserId,
    profile: &AccessProfile,
    terms: Terms,
    now: Timestamp,
) -> StoredCopy {
    let empty = ProfileContent::default();
    StoredCopy {
        copy: UserCopy {
            id,
            user_id: user,
            parent_profile_id: profile.id,
            name: profile.name.clone(),
            profile_version: profile.version,
            is_active: true,
            expires_at: terms.expires_at,
            priority: terms.priority.unwrap_or(0),
            assigned_at: now,
            content: take_over(id.uuid(), &empty, &profile.content, &Field::ALL),
            overrides: BTreeMap::new(),
        },
        source: terms.source,
        detached_at: None,
        created_at: now,
        updated_at: now,
    }
}

/// The copy as it was when it ended, brought up to date. It keeps its anchor, so that its windows and what was spent in
/// them are the same as before: leaving is no way to reset spend.
fn revive(old: StoredCopy, profile: &AccessProfile, terms: Terms, now: Timestamp) -> StoredCopy {
    let copy = old.copy;
    StoredCopy {
        copy: UserCopy {
            name: profile.name.clone(),
            profile_version: profile.version,
            is_active: true,
            expires_at: terms.expires_at,
            priority: terms.priority.unwrap_or(copy.priority),
            content: take_over(copy.id.uuid(), &copy.content, &profile.content, &Field::ALL),
            ..copy
        },
        source: terms.source,
        detached_at: None,
        updated_at: now,
        ..old
    }
}

/// The key that comes with a user's first profile. Its name must be unique, so the id is in it.
async fn issue_first_key(ctx: &Context, tx: &mut Tx, user: &User) -> Answer<IssuedKey> {
    let id = VirtualKeyId::from_uuid(ctx.parts().ids.next_uuid());
    let digits = id.uuid().simple().to_string();
    let tail = digits
        .get(digits.len().saturating_sub(8)..)
        .unwrap_or_default();
    issue_key(ctx, tx, id, user.id, format!("{} {tail}", user.email), None).await
}

/// Makes a managed key for a user.
pub(crate) async fn issue_key(
    ctx: &Context,
    tx: &mut Tx,
    id: VirtualKeyId,
    user: UserId,
    name: String,
    description: Option<String>,
) -> Answer<IssuedKey> {
    let secret = NewSecret::generate(VIRTUAL_KEY_PREFIX, ctx.parts().secrets.as_ref())?;
    let now = ctx.now();
    let key = VirtualKey {
        id,
        name,
        description,
        holder: KeyHolder::User(user),
        is_managed: true,
        is_active: true,
        expires_at: None,
        masked_value: secret.masked.clone(),
        previous_until: None,
        content: ProfileContent::default(),
        created_at: now,
        updated_at: now,
    };
    virtual_keys::create(tx, &key, &secret.hash)
        .await
        .map_err(|error| key_name_taken(error, &key.name))?;
    let act = Act::new("create", "virtual_key", id)
        .about_user(user)
        .with(&serde_json::json!({"name": key.name, "value": key.masked_value}));
    ctx.record(tx, act).await?;
    Ok(IssuedKey { key, secret })
}

/// A taken name as the 409 it is.
pub(crate) fn key_name_taken(error: StorageError, name: &str) -> Problem {
    if error.conflicts_with(Constraint::VirtualKeyName) {
        Problem::conflict(
            "name_taken",
            format!("a virtual key is named `{name}` already"),
        )
        .at("/name")
    } else {
        error.into()
    }
}

/// Takes a copy away. The managed keys go with the user's last copy; their names come back.
pub(crate) async fn detach(ctx: &Context, tx: &mut Tx, stored: StoredCopy) -> Answer<Vec<String>> {
    let (user, profile) = (stored.copy.user_id, stored.copy.parent_profile_id);
    let now = ctx.now();
    copies::update(
        tx,
        &StoredCopy {
            detached_at: Some(now),
            updated_at: now,
            ..stored
        },
    )
    .await?;
    let mut deleted = Vec::new();
    if copies::of_user(&mut *tx, user).await?.is_empty() {
        let keys = virtual_keys::of_user(&mut *tx, user).await?;
        for key in keys.into_iter().filter(|key| key.is_managed) {
            virtual_keys::delete(tx, key.id).await?;
            deleted.push(key.name);
        }
    }
    let act = Act::new("detach", "access_profile", profile)
        .about_profile(profile)
        .about_user(user)
        .with(&serde_json::json!({"deleted_vk_names": deleted}));
    ctx.record(tx, act).await?;
    Ok(deleted)
}
