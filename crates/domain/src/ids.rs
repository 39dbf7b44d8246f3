//! Typed ids. An id of one kind cannot be passed where another is meant, and its prefix shows the kind in logs.
//!
//! Access profiles, roles, permissions, tool groups and provider configs have integer ids by contract; everything else
//! has a time-sortable UUIDv7, written as `<prefix>_<32 hex digits>`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid id; expected `{prefix}_` and 32 hexadecimal digits")]
pub struct ParseIdError {
    /// What was given, cut to a printable length.
    pub text: String,
    /// The prefix that this kind of id has.
    pub prefix: &'static str,
}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// What stands before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// The id with this UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID inside.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.as_simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or_else(|| ParseIdError { text: text.chars().take(80).collect(), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

text_ids! {
    /// A person, or an agent that acts as one.
    UserId = "user";
    /// A virtual key.
    VirtualKeyId = "vk";
    /// One holder's copy of an access profile.
    CopyId = "copy";
    /// A budget line.
    BudgetId = "bud";
    /// A rate limit; its three meters (tokens, requests, parallel requests) share the id.
    RateLimitId = "rl";
    /// A team.
    TeamId = "team";
    /// A customer.
    CustomerId = "cust";
    /// A business unit.
    BusinessUnitId = "bu";
    /// A limit on a model.
    ModelConfigId = "mc";
    /// A provider's credential.
    ProviderKeyId = "pk";
    /// A management key.
    ManagementKeyId = "mk";
    /// One request on the data plane, which is also its hold in the ledger and its row in the request log.
    RequestId = "req";
    /// An audit entry.
    AuditEntryId = "aud";
    /// Usage that is set back to zero, once.
    ResetId = "rst";
    /// An MCP client: a server that Tollgate connects to.
    McpClientId = "mcp";
    /// A webhook.
    WebhookId = "wh";
    /// An event on the management API, quoted to the caller.
    EventId = "evt";
}

macro_rules! integer_ids {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

integer_ids! {
    /// An access profile.
    ProfileId;
    /// A provider's entry inside a profile or key.
    ProviderConfigId;
    /// A role of the management API.
    RoleId;
    /// A permission of the management API.
    PermissionId;
    /// A group of MCP tools.
    ToolGroupId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_kinds_do_not_mix() {
        let id = UserId::from_uuid(Uuid::from_u128(7));
        assert_eq!(id.to_string(), "user_00000000000000000000000000000007");
        assert_eq!(id.to_string().parse::<UserId>().unwrap(), id);
        assert!(id.to_string().parse::<TeamId>().is_err());
        assert!("user_7".parse::<UserId>().is_err());
        assert!(
            "user_0000-000000000000000000000000007"
                .parse::<UserId>()
                .is_err()
        );
    }
}
