//! The entries of a snapshot.

use std::sync::Arc;

use super::KeyHash;
use crate::access::profile::McpGrants;
use crate::access::{Copy, ModelList, ProviderGrant, Settings};
use crate::ids::{BusinessUnitId, CustomerId, TeamId, UserId, VirtualKeyId};
use crate::limits::Meter;
use crate::provider::ProviderName;
use crate::time::Timestamp;

/// For whom a key speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyHolder {
    /// A user, with all of the user's copies.
    User(UserId),
    /// A team or customer.
    Group(GroupId),
    /// Nobody but itself.
    Itself,
}

/// Which key a secret belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySecret {
    /// The key.
    pub key: VirtualKeyId,
    /// Set on a secret that was rotated away: the end of its grace time.
    pub honoured_until: Option<Timestamp>,
}

/// A virtual key.
#[derive(Debug, Clone)]
pub struct VirtualKey {
    /// Its id, which rotation keeps.
    pub id: VirtualKeyId,
    /// For people.
    pub name: Arc<str>,
    /// For whom it speaks.
    pub holder: KeyHolder,
    /// Whether it is placed under its holder's access profiles: without any it opens nothing, whatever it grants.
    pub is_managed: bool,
    /// Whether it opens anything.
    pub is_active: bool,
    /// When it stops.
    pub expires_at: Option<Timestamp>,
    /// The hash of the secret, and of an older one in its grace time.
    pub secrets: Vec<(KeyHash, Option<Timestamp>)>,
    /// Caps what the holder's copies grant; is the grant itself when the holder has none.
    pub grants: Vec<ProviderGrant>,
    /// MCP tools, as with `grants`.
    pub mcp: McpGrants,
    /// Limits on everything that passes through the key.
    pub meters: Vec<Arc<Meter>>,
    /// How its requests are treated when it pays by itself.
    pub settings: Settings,
}

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// For people.
    pub name: Arc<str>,
    /// When not, every key of the user is refused.
    pub is_active: bool,
    /// In the order in which they pay. Inactive and expired ones too, so that a refusal can say so.
    pub copies: Vec<Arc<Copy>>,
    /// The teams, business units and customers that the user belongs to.
    pub groups: Vec<GroupId>,
}

/// A team, business unit or customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupId {
    /// A team.
    Team(TeamId),
    /// A business unit.
    BusinessUnit(BusinessUnitId),
    /// A customer.
    Customer(CustomerId),
}

/// How a group's profile meets its members' own grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProfileMode {
    /// It adds to them.
    #[default]
    Unite,
    /// It caps them.
    Restrict,
}

/// The profile of a group: one shared copy.
#[derive(Debug, Clone)]
pub struct GroupProfile {
    /// Adds or caps.
    pub mode: GroupProfileMode,
    /// The copy, whose counters all members share.
    pub copy: Arc<Copy>,
}

/// A group of users, whose limits hold for every member's request.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// For people.
    pub name: Arc<str>,
    /// Limits on all members together.
    pub meters: Vec<Arc<Meter>>,
    /// Groups above it: a team's customer or business unit.
    pub parents: Vec<GroupId>,
    /// Its profile, when it has one.
    pub profile: Option<GroupProfile>,
    /// How requests are treated that its own copy or budget pays for.
    pub settings: Settings,
}

/// A limit on a model, wherever it is used.
#[derive(Debug, Clone)]
pub struct ModelLimit {
    /// Which models.
    pub models: ModelList,
    /// Only at this provider; `None` = at any.
    pub provider: Option<ProviderName>,
    /// Only for this key.
    pub key: Option<VirtualKeyId>,
    /// Only for this user.
    pub user: Option<UserId>,
    /// The limits.
    pub meters: Vec<Arc<Meter>>,
}
