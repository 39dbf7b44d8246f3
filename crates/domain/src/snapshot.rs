//! The immutable policy that the data plane reads.
//!
//! Normalised: each entity stands once and refers to others by id, so that one change touches one entry. The maps are
//! persistent, so that a new snapshot shares everything that did not change. `evaluate` joins them per request.

mod budgets;
mod change;
mod entities;
mod mcp;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub use budgets::FoundBudget;
pub use change::SnapshotChange;
pub use entities::{
    Group, GroupId, GroupProfile, GroupProfileMode, KeyHolder, KeySecret, ModelLimit, User,
    VirtualKey,
};
pub use mcp::{GroupedTools, McpCatalog, McpClient};

use crate::catalog::Catalog;
use crate::hash::OwnTrieMap;
use crate::ids::{UserId, VirtualKeyId};
use crate::provider::{Provider, ProviderName};
use crate::time::Timestamp;

/// SHA-256 of a virtual key's full text. Keys are random over 256 bits, so a plain hash is enough, and looking one up
/// by its hash tells nothing through timing about the keys that exist.
pub type KeyHash = [u8; 32];

/// Everything that deciding on a request needs, at one revision.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Steps with every publication.
    pub revision: u64,
    secrets: OwnTrieMap<KeyHash, KeySecret>,
    keys: OwnTrieMap<VirtualKeyId, Arc<VirtualKey>>,
    users: OwnTrieMap<UserId, Arc<User>>,
    groups: OwnTrieMap<GroupId, Arc<Group>>,
    providers: Arc<BTreeMap<ProviderName, Arc<Provider>>>,
    model_limits: Arc<Vec<ModelLimit>>,
    catalog: Arc<Catalog>,
    mcp: Arc<McpCatalog>,
}

impl Snapshot {
    /// The key whose secret has this hash, also an old secret in its grace time.
    pub fn key_by_hash(&self, hash: &KeyHash, now: Timestamp) -> Option<&Arc<VirtualKey>> {
        let secret = self.secrets.get(hash)?;
        if secret.honoured_until.is_some_and(|until| until <= now) {
            return None;
        }
        self.keys.get(&secret.key)
    }

    /// The key with this id.
    pub fn key(&self, id: VirtualKeyId) -> Option<&Arc<VirtualKey>> {
        self.keys.get(&id)
    }

    /// Every key, in no order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<VirtualKey>> {
        self.keys.values()
    }

    /// The user with this id.
    pub fn user(&self, id: UserId) -> Option<&Arc<User>> {
        self.users.get(&id)
    }

    /// Every user, in no order.
    pub fn users(&self) -> impl Iterator<Item = &Arc<User>> {
        self.users.values()
    }

    /// The group with this id.
    pub fn group(&self, id: GroupId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// These groups and everything above them, each once, nearest first.
    pub fn with_parents(&self, own: Vec<GroupId>) -> Vec<&Arc<Group>> {
        let mut groups: Vec<&Arc<Group>> = Vec::new();
        let mut waiting = VecDeque::from(own);
        while let Some(id) = waiting.pop_front() {
            if groups.iter().any(|group| group.id == id) {
                continue;
            }
            if let Some(group) = self.group(id) {
                waiting.extend(group.parents.iter().copied());
                groups.push(group);
            }
        }
        groups
    }

    /// Every group, in no order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<Group>> {
        self.groups.values()
    }

    /// The provider of this name, whose case does not matter.
    pub fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.providers.get(name.to_ascii_lowercase().as_str());
        }
        self.providers.get(name)
    }

    /// Every provider, by name.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    /// Limits on models.
    pub fn model_limits(&self) -> &[ModelLimit] {
        &self.model_limits
    }

    /// Prices and sizes.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// MCP clients and groups of their tools.
    pub fn mcp(&self) -> &McpCatalog {
        &self.mcp
    }

    /// Puts a key in, or in the place of its older self.
    pub fn put_key(&mut self, key: VirtualKey) {
        self.remove_key(key.id);
        for (hash, honoured_until) in &key.secrets {
            self.secrets.insert_mut(
                *hash,
                KeySecret {
                    key: key.id,
                    honoured_until: *honoured_until,
                },
            );
        }
        self.keys.insert_mut(key.id, Arc::new(key));
    }

    /// Takes a key out.
    pub fn remove_key(&mut self, id: VirtualKeyId) {
        if let Some(old) = self.keys.get(&id).cloned() {
            for (hash, _) in &old.secrets {
                self.secrets.remove_mut(hash);
            }
            self.keys.remove_mut(&id);
        }
    }

    /// Puts a user in, or in the place of its older self. Copies are put in the order in which they pay.
    pub fn put_user(&mut self, mut user: User) {
        user.copies
            .sort_by_key(|copy| (copy.priority, copy.assigned_at, copy.id));
        self.users.insert_mut(user.id, Arc::new(user));
    }

    /// Takes a user out.
    pub fn remove_user(&mut self, id: UserId) {
        self.users.remove_mut(&id);
    }

    /// Puts a group in, or in the place of its older self.
    pub fn put_group(&mut self, group: Group) {
        self.groups.insert_mut(group.id, Arc::new(group));
    }

    /// Takes a group out.
    pub fn remove_group(&mut self, id: GroupId) {
        self.groups.remove_mut(&id);
    }

    /// Replaces all providers. They are few, and their credentials are ordered here, largest weight first.
    pub fn set_providers(&mut self, providers: impl IntoIterator<Item = Provider>) {
        let ordered = providers.into_iter().map(|mut provider| {
            provider
                .keys
                .sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id)));
            (provider.name.clone(), Arc::new(provider))
        });
        self.providers = Arc::new(ordered.collect());
    }

    /// Replaces all limits on models.
    pub fn set_model_limits(&mut self, limits: Vec<ModelLimit>) {
        self.model_limits = Arc::new(limits);
    }

    /// Replaces all MCP clients and groups of tools.
    pub fn set_mcp(&mut self, mcp: McpCatalog) {
        self.mcp = Arc::new(mcp);
    }

    /// Replaces prices and sizes.
    pub fn set_catalog(&mut self, catalog: Catalog) {
        self.catalog = Arc::new(catalog);
    }
}
