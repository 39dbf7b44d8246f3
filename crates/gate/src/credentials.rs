//! Which of the many values that a request carries is its key.

use aws_lc_rs::digest::{SHA256, digest};
use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::snapshot::{KeyHash, KeyHolder, Snapshot, VirtualKey};
use tollgate_domain::{ErrorKind, GatewayError, Timestamp};

/// What every virtual key starts with.
pub const VIRTUAL_KEY_PREFIX: &str = "sk-tg-";
/// What every management key starts with; none is welcome on the data plane.
pub const MANAGEMENT_KEY_PREFIX: &str = "tgm-";

/// The credentials of one request, as they are found.
///
/// SDKs always send a dummy somewhere, so elsewhere than in our own headers only values with our prefix count.
#[derive(Debug, Default)]
pub struct Credentials<'a> {
    key: Option<&'a [u8]>,
    has_conflict: bool,
    has_management_key: bool,
}

impl<'a> Credentials<'a> {
    /// A value of `authorization`.
    pub fn authorization(&mut self, value: &'a [u8]) {
        let bearer = value
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))
            .map_or(value, |(_, token)| token);
        self.shared(bearer);
    }

    /// A value of `x-api-key`, `api-key` or `x-goog-api-key`.
    pub fn shared(&mut self, value: &'a [u8]) {
        let value = value.trim_ascii();
        if value.starts_with(VIRTUAL_KEY_PREFIX.as_bytes()) {
            self.found(value);
        } else {
            self.unread(value);
        }
    }

    /// A value that opens nothing: a management key is refused there as well.
    pub fn unread(&mut self, value: &[u8]) {
        self.has_management_key |= value.starts_with(MANAGEMENT_KEY_PREFIX.as_bytes());
    }

    /// A value of `x-tollgate-key` or `x-bf-vk`, which counts whatever it looks like.
    pub fn own(&mut self, value: &'a [u8]) {
        let value = value.trim_ascii();
        if value.starts_with(MANAGEMENT_KEY_PREFIX.as_bytes()) {
            self.has_management_key = true;
        } else if !value.is_empty() {
            self.found(value);
        }
    }

    fn found(&mut self, value: &'a [u8]) {
        // Both sides come from the same caller, so how long the comparison takes tells nobody anything new.
        self.has_conflict |= self.key.is_some_and(|key| key != value);
        self.key = Some(value);
    }

    fn hash(&self) -> Result<KeyHash, GatewayError> {
        let refused =
            |message: &str| Err(GatewayError::new(ErrorKind::VirtualKeyRequired, message));
        if self.has_management_key {
            return refused(
                "this is a management key, which opens only the management API; send a virtual key (`sk-tg-…`)",
            );
        }
        if self.has_conflict {
            return refused("the request carries two different virtual keys; send one");
        }
        let Some(key) = self.key else {
            return refused(
                "no virtual key (`sk-tg-…`) in `Authorization: Bearer`, `x-api-key`, `api-key`, `x-goog-api-key` or `x-tollgate-key`",
            );
        };
        let mut hash = KeyHash::default();
        hash.copy_from_slice(digest(&SHA256, key).as_ref());
        Ok(hash)
    }

    /// The caller that these credentials name.
    pub(crate) fn caller(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Caller, GatewayError> {
        let hash = self.hash()?;
        let key = find(snapshot, &hash, now)?;
        Ok(Caller {
            hash,
            key: key.id,
            user: user_of(key),
        })
    }
}

/// An authenticated caller: one secret of one virtual key. Holds nothing of the snapshot it was found in.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    hash: KeyHash,
    /// The key.
    pub key: VirtualKeyId,
    /// The key's user, when it has one.
    pub user: Option<UserId>,
}

impl Caller {
    /// The key in a newer snapshot, when this secret still opens it.
    pub(crate) fn find<'a>(
        &self,
        snapshot: &'a Snapshot,
        now: Timestamp,
    ) -> Result<&'a VirtualKey, GatewayError> {
        find(snapshot, &self.hash, now)
    }
}

fn find<'a>(
    snapshot: &'a Snapshot,
    hash: &KeyHash,
    now: Timestamp,
) -> Result<&'a VirtualKey, GatewayError> {
    snapshot
        .key_by_hash(hash, now)
        .map(AsRef::as_ref)
        .ok_or_else(|| {
            GatewayError::new(
                ErrorKind::VirtualKeyNotFound,
                "this virtual key does not exist, or was rotated away",
            )
        })
}

/// The user that `key` speaks for.
pub(crate) fn user_of(key: &VirtualKey) -> Option<UserId> {
    match key.holder {
        KeyHolder::User(user) => Some(user),
        KeyHolder::Group(_) | KeyHolder::Itself => None,
    }
}
