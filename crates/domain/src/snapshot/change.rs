//! What a write changed, in the terms of the snapshot.

use super::GroupId;
use crate::ids::{UserId, VirtualKeyId};

/// A part of the snapshot that must be read again after a write. A part that is gone from the database by then is taken
/// out of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SnapshotChange {
    /// A user, with all copies.
    User(UserId),
    /// A virtual key.
    Key(VirtualKeyId),
    /// A team, business unit or customer, with its profile.
    Group(GroupId),
    /// All providers with their keys.
    Providers,
    /// All limits on models.
    ModelLimits,
    /// All price overrides.
    Prices,
    /// All MCP clients and groups of tools.
    Mcp,
    /// The whole snapshot.
    Everything,
}
