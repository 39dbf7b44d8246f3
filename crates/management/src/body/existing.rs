//! Ids of things that must exist. They are noted while a body is read and looked up before its operation begins, so that
//! what is missing is reported with everything else that is wrong.

use std::collections::BTreeSet;

use tollgate_domain::ids::{
    BusinessUnitId, CustomerId, McpClientId, RoleId, TeamId, ToolGroupId, UserId, VirtualKeyId,
};
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::mcp::{clients, tool_groups};
use tollgate_storage::{Store, groups, roles, users, virtual_keys};
use utoipa::openapi::{RefOr, Schema};

use super::{FromJson, Node, Problems};
use crate::problem::Answer;
use crate::state::ManagementParts;

/// The id of something that exists.
///
/// It did when the request arrived. What may not vanish in between is for the database to see to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Existing<T>(pub(crate) T);

/// The name of an MCP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct McpClientName(pub(crate) String);

impl FromJson for McpClientName {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        String::from_json(node, problems).map(Self)
    }

    fn schema() -> RefOr<Schema> {
        String::schema()
    }
}

/// A thing that a body names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    Group(GroupId),
    McpClient(McpClientId),
    McpClientName(String),
    Role(RoleId),
    ToolGroup(ToolGroupId),
    User(UserId),
    /// An environment variable that the boot configuration lets a body name.
    Variable(String),
    VirtualKey(VirtualKeyId),
}

/// Everything that a body names, with its places.
#[derive(Debug, Default)]
pub(super) struct References(Vec<(String, Reference)>);

/// An id that can be looked up.
pub(crate) trait Refers {
    fn reference(&self) -> Reference;
}

macro_rules! refers {
    ($($id:ty => $reference:expr;)+) => {$(
        impl Refers for $id {
            fn reference(&self) -> Reference {
                $reference(self.clone())
            }
        }
    )+};
}

refers! {
    BusinessUnitId => |id| Reference::Group(GroupId::BusinessUnit(id));
    CustomerId => |id| Reference::Group(GroupId::Customer(id));
    TeamId => |id| Reference::Group(GroupId::Team(id));
    McpClientId => Reference::McpClient;
    McpClientName => |name: Self| Reference::McpClientName(name.0);
    RoleId => Reference::Role;
    ToolGroupId => Reference::ToolGroup;
    UserId => Reference::User;
}

impl<T: FromJson + Refers> FromJson for Existing<T> {
    fn from_json(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let id = T::from_json(node, problems)?;
        problems.refer(node.pointer.as_str(), id.reference());
        Some(Self(id))
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl References {
    pub(super) fn push(&mut self, pointer: String, reference: Reference) {
        self.0.push((pointer, reference));
    }

    /// Adds a problem for each thing that neither exists nor is held already. Every thing is looked up once, those of a
    /// kind together.
    pub(super) async fn check<H>(
        self,
        parts: &ManagementParts,
        held: impl FnOnce() -> H,
        problems: &mut Problems,
    ) -> Answer<()>
    where
        H: Future<Output = Answer<BTreeSet<Reference>>>,
    {
        let named: BTreeSet<Reference> = self
            .0
            .iter()
            .map(|(_, reference)| reference.clone())
            .collect();
        let mut missing = find_missing(parts, named).await?;
        if !missing.is_empty() {
            let held = held().await?;
            missing.retain(|reference| !held.contains(reference));
        }
        for (pointer, reference) in self.0 {
            if missing.contains(&reference) {
                problems.unknown(pointer, reference.describe(parts));
            }
        }
        Ok(())
    }
}

impl Reference {
    /// For people: that it is not there.
    fn describe(&self, parts: &ManagementParts) -> String {
        match self {
            Self::Group(id) => {
                let (thing, id) = (crate::groups::thing(*id), crate::groups::id_text(*id));
                format!("no {thing} `{id}` exists")
            }
            Self::McpClient(id) => format!("no MCP client `{id}` exists"),
            Self::McpClientName(name) => format!("no MCP client `{name}` exists"),
            Self::Role(id) => format!("no role `{id}` exists"),
            Self::ToolGroup(id) => format!("no tool group `{id}` exists"),
            Self::User(id) => format!("no user `{id}` exists"),
            Self::Variable(_) => format!(
                "this environment variable cannot be named here; allowed are `{}`, and never `TOLLGATE_*`",
                parts.environment_names.describe()
            ),
            Self::VirtualKey(id) => format!("no virtual key `{id}` exists"),
        }
    }
}

/// What a body names, kind by kind.
#[derive(Default)]
struct Named {
    groups: Vec<GroupId>,
    mcp_clients: Vec<McpClientId>,
    mcp_names: Vec<String>,
    roles: Vec<RoleId>,
    tool_groups: Vec<ToolGroupId>,
    users: Vec<UserId>,
    missing: BTreeSet<Reference>,
}

async fn find_missing(
    parts: &ManagementParts,
    named: BTreeSet<Reference>,
) -> Answer<BTreeSet<Reference>> {
    let store = &parts.store;
    let mut of = Named::default();
    for reference in named {
        let exists = match &reference {
            Reference::Group(id) => {
                of.groups.push(*id);
                continue;
            }
            Reference::McpClient(id) => {
                of.mcp_clients.push(*id);
                continue;
            }
            Reference::McpClientName(name) => {
                of.mcp_names.push(name.clone());
                continue;
            }
            Reference::Role(id) => {
                of.roles.push(*id);
                continue;
            }
            Reference::ToolGroup(id) => {
                of.tool_groups.push(*id);
                continue;
            }
            Reference::User(id) => {
                of.users.push(*id);
                continue;
            }
            // A body names one of these at most.
            Reference::VirtualKey(id) => virtual_keys::find(store, *id).await?.is_some(),
            Reference::Variable(name) => parts.environment_names.allow(name),
        };
        if !exists {
            of.missing.insert(reference);
        }
    }
    of.look_up(store).await
}

impl Named {
    async fn look_up(self, store: &Store) -> Answer<BTreeSet<Reference>> {
        let mut missing = self.missing;
        let absent = groups::missing(store, &self.groups).await?;
        missing.extend(absent.into_iter().map(Reference::Group));
        let absent = clients::missing(store, &self.mcp_clients).await?;
        missing.extend(absent.into_iter().map(Reference::McpClient));
        let absent = tool_groups::missing(store, &self.tool_groups).await?;
        missing.extend(absent.into_iter().map(Reference::ToolGroup));
        let absent = users::missing(store, &self.users).await?;
        missing.extend(absent.into_iter().map(Reference::User));
        let names: Vec<&str> = self.mcp_names.iter().map(String::as_str).collect();
        let known = clients::ids_by_name(store, &names).await?;
        let absent = self.mcp_names.iter();
        let absent = absent.filter(|name| !known.contains_key(&name.to_lowercase()));
        missing.extend(absent.cloned().map(Reference::McpClientName));
        if !self.roles.is_empty() {
            // Roles are few, and a body may name many.
            let known = roles::list(store).await?;
            let known: BTreeSet<RoleId> = known.into_iter().map(|role| role.id).collect();
            let absent = self.roles.into_iter().filter(|id| !known.contains(id));
            missing.extend(absent.map(Reference::Role));
        }
        Ok(missing)
    }
}
