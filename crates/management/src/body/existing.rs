//! Ids of things that must exist. They are noted while a body is read and looked up before its operation begins, so that
//! what is missing is reported with everything else that is wrong.

use std::collections::BTreeSet;

use tollgate_domain::ids::{
    BusinessUnitId, CustomerId, McpClientId, RoleId, TeamId, ToolGroupId, UserId,
};
use tollgate_domain::snapshot::GroupId;
use tollgate_storage::mcp::{clients, tool_groups};
use tollgate_storage::{Store, groups, roles, users};
use utoipa::openapi::{RefOr, Schema};

use super::{FromJson, Node, Problems};
use crate::mcp::find_by_name;
use crate::problem::Answer;

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
        let place = (node.pointer.clone(), id.reference());
        problems.references.0.push(place);
        Some(Self(id))
    }

    fn schema() -> RefOr<Schema> {
        T::schema()
    }
}

impl References {
    /// Adds a problem for each thing that does not exist. Every thing is looked up once, those of a kind together.
    pub(super) async fn check(self, store: &Store, problems: &mut Problems) -> Answer<()> {
        let named: BTreeSet<Reference> = self
            .0
            .iter()
            .map(|(_, reference)| reference.clone())
            .collect();
        let missing = find_missing(store, named).await?;
        for (pointer, reference) in self.0 {
            if missing.contains(&reference) {
                problems.unknown(pointer, reference.describe());
            }
        }
        Ok(())
    }
}

impl Reference {
    /// For people.
    fn describe(&self) -> String {
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
        }
    }
}

async fn find_missing(store: &Store, named: BTreeSet<Reference>) -> Answer<BTreeSet<Reference>> {
    let (mut mcp_clients, mut tools, mut missing) = (Vec::new(), Vec::new(), BTreeSet::new());
    let mut all_roles: Option<BTreeSet<RoleId>> = None;
    for reference in named {
        let exists = match &reference {
            Reference::McpClient(id) => {
                mcp_clients.push(*id);
                continue;
            }
            Reference::ToolGroup(id) => {
                tools.push(*id);
                continue;
            }
            Reference::McpClientName(name) => find_by_name(store, name).await?.is_some(),
            Reference::Group(id) => groups::find(store, *id).await?.is_some(),
            Reference::Role(id) => {
                // Roles are few, and a body may name many.
                let known = match all_roles.take() {
                    Some(known) => known,
                    None => roles::list(store)
                        .await?
                        .into_iter()
                        .map(|role| role.id)
                        .collect(),
                };
                all_roles.insert(known).contains(id)
            }
            Reference::User(id) => users::find(store, *id).await?.is_some(),
        };
        if !exists {
            missing.insert(reference);
        }
    }
    let absent = clients::missing(store, &mcp_clients).await?;
    missing.extend(absent.into_iter().map(Reference::McpClient));
    let absent = tool_groups::missing(store, &tools).await?;
    missing.extend(absent.into_iter().map(Reference::ToolGroup));
    Ok(missing)
}
