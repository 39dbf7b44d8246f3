//! What a role or management key may do on the management API.
//!
//! Every operation needs exactly one permission, written `AccessProfiles:Update`. The vocabulary is code, not data: the
//! database keeps only which role or key has which permission, by its stable number.

use std::fmt;

use crate::ids::PermissionId;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $code:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$each])* $variant,)+
        }

        impl $name {
            /// Every one, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// A stable small number, part of a permission's id.
            pub const fn code(self) -> i64 {
                match self { $(Self::$variant => $code,)+ }
            }

            /// As the API writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }
        }
    };
}

named! {
    /// What a permission is about.
    Resource {
        /// Access profiles, copies, overrides and the keys that come with them.
        AccessProfiles = 1,
        /// Virtual keys.
        VirtualKeys = 2,
        /// Users.
        Users = 3,
        /// Roles and their permissions.
        Roles = 4,
        /// Management keys.
        APIKeys = 5,
        /// Teams.
        Teams = 6,
        /// Customers.
        Customers = 7,
        /// Business units.
        BusinessUnits = 8,
        /// Providers, their keys, models and prices.
        Providers = 9,
        /// MCP clients and tool groups.
        MCPGateway = 10,
        /// The request log and its statistics.
        Logs = 11,
        /// The audit trail.
        AuditLogs = 12,
        /// Webhooks and everything else that is set once.
        Settings = 13,
    }
}

named! {
    /// What a permission allows.
    Action {
        /// To read.
        View = 1,
        /// To add.
        Create = 2,
        /// To change.
        Update = 3,
        /// To take away.
        Delete = 4,
    }
}

/// One permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permission {
    /// What it is about.
    pub resource: Resource,
    /// What it allows there.
    pub action: Action,
}

impl Permission {
    /// The permission to do `action` to `resource`.
    pub const fn new(resource: Resource, action: Action) -> Self {
        Self { resource, action }
    }

    /// Its id, the same in every installation.
    pub const fn id(self) -> PermissionId {
        PermissionId(self.resource.code() * 10 + self.action.code())
    }

    /// The permission with this id.
    pub fn from_id(id: PermissionId) -> Option<Self> {
        Self::all().find(|permission| permission.id() == id)
    }

    /// The permission that [`fmt::Display`] writes as `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::all().find(|permission| permission.to_string() == name)
    }

    /// Every permission, in the order of their ids.
    pub fn all() -> impl Iterator<Item = Self> {
        Resource::ALL.iter().flat_map(|resource| {
            Action::ALL
                .iter()
                .map(|action| Self::new(*resource, *action))
        })
    }
}

/// `AccessProfiles:Update`.
impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource.as_str(), self.action.as_str())
    }
}

/// The roles that every installation has. They can be edited, not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SystemRole {
    /// May do everything.
    Admin,
    /// May see everything but the audit trail and management keys, and work with virtual keys.
    Developer,
    /// May see what governs model traffic.
    Viewer,
}

impl SystemRole {
    /// Every system role, most powerful first.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Developer, Self::Viewer];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Developer => "Developer",
            Self::Viewer => "Viewer",
        }
    }

    /// What it is for.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Admin => "may do everything",
            Self::Developer => {
                "may see everything but secrets of the management API, and work with virtual keys"
            }
            Self::Viewer => "may see what governs model traffic",
        }
    }

    /// What it may do in a new installation.
    pub fn permissions(self) -> Vec<Permission> {
        let allows = |permission: &Permission| match self {
            Self::Admin => true,
            Self::Developer => match permission.resource {
                Resource::APIKeys | Resource::AuditLogs | Resource::Settings => false,
                Resource::VirtualKeys => true,
                _ => permission.action == Action::View,
            },
            Self::Viewer => {
                permission.action == Action::View
                    && !matches!(
                        permission.resource,
                        Resource::APIKeys
                            | Resource::AuditLogs
                            | Resource::Settings
                            | Resource::Roles
                    )
            }
        };
        Permission::all().filter(allows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_names_are_unique_and_read_back() {
        let all: Vec<_> = Permission::all().collect();
        assert_eq!(all.len(), 52);
        for permission in &all {
            assert_eq!(Permission::from_id(permission.id()), Some(*permission));
            assert_eq!(
                Permission::parse(&permission.to_string()),
                Some(*permission)
            );
        }
        assert_eq!(
            Permission::new(Resource::AccessProfiles, Action::Update).to_string(),
            "AccessProfiles:Update"
        );
        assert_eq!(Permission::from_id(PermissionId(0)), None);
    }

    #[test]
    fn lesser_roles_have_less() {
        let [admin, developer, viewer] = SystemRole::ALL.map(SystemRole::permissions);
        assert!(viewer.iter().all(|each| developer.contains(each)));
        assert!(developer.iter().all(|each| admin.contains(each)));
        assert!(viewer.len() < developer.len() && developer.len() < admin.len());
        assert_eq!(admin.len(), Permission::all().count());
    }
}
