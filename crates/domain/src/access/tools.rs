//! Sets of MCP tools: what a client offers, what a profile grants, to what a key is capped.

use std::collections::BTreeSet;

use super::profile::{McpGrants, ToolAction};
use crate::ids::McpClientId;
use crate::snapshot::{McpCatalog, McpClient};

/// Stands for every tool of a client, where a tool's name can stand.
pub const ALL_TOOLS: &str = "*";

/// Tools of one MCP client, of which nobody can say beforehand which ones it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolSet<'a> {
    /// These.
    Only(BTreeSet<&'a str>),
    /// All but these, also those that the client gets later.
    AllBut(BTreeSet<&'a str>),
}

impl<'a> ToolSet<'a> {
    pub(super) const fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    pub(super) const fn all() -> Self {
        Self::AllBut(BTreeSet::new())
    }

    /// The tools of these names, of which `*` is all.
    pub(super) fn named(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: BTreeSet<_> = names.into_iter().collect();
        if names.contains(ALL_TOOLS) {
            Self::all()
        } else {
            Self::Only(names)
        }
    }

    /// Those that may be called at all.
    pub(super) fn offered_by(client: &'a McpClient) -> Self {
        Self::named(client.tools_to_execute.iter().map(String::as_str))
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Only(names) if names.is_empty())
    }

    /// What is in either.
    pub(super) fn union(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(&a | &b),
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(&a & &b),
            (Self::Only(names), Self::AllBut(missing))
            | (Self::AllBut(missing), Self::Only(names)) => Self::AllBut(&missing - &names),
        }
    }

    /// What is in both.
    pub(super) fn intersection(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(a), Self::Only(b)) => Self::Only(&a & &b),
            (Self::AllBut(a), Self::AllBut(b)) => Self::AllBut(&a | &b),
            (Self::Only(names), Self::AllBut(missing))
            | (Self::AllBut(missing), Self::Only(names)) => Self::Only(&names - &missing),
        }
    }

    /// Everything that is not in it.
    fn complement(self) -> Self {
        match self {
            Self::Only(names) => Self::AllBut(names),
            Self::AllBut(missing) => Self::Only(missing),
        }
    }
}

impl McpGrants {
    /// What is granted of `client`, of what may be called there at all; `None` when that is nothing.
    pub fn granted<'a>(
        &'a self,
        client: &'a McpClient,
        catalog: &'a McpCatalog,
    ) -> Option<ToolSet<'a>> {
        let granted = self.tools_of(client.id, catalog);
        Some(granted.intersection(ToolSet::offered_by(client))).filter(|tools| !tools.is_empty())
    }

    /// Whether nothing is said of any tool.
    pub fn is_empty(&self) -> bool {
        self.tool_groups.is_empty() && self.servers.is_empty() && self.tool_overrides.is_empty()
    }

    /// The tools of `client` that are granted: by its server, a group or one by one, and not excluded.
    pub(super) fn tools_of<'a>(
        &'a self,
        client: McpClientId,
        catalog: &'a McpCatalog,
    ) -> ToolSet<'a> {
        let overridden = |action| {
            let wanted = self
                .tool_overrides
                .iter()
                .filter(move |one| one.mcp_client_id == client && one.action == action);
            ToolSet::named(wanted.map(|one| one.tool_name.as_str()))
        };
        let whole_server = if self.servers.contains(&client) {
            ToolSet::all()
        } else {
            ToolSet::none()
        };
        let grouped = self
            .tool_groups
            .iter()
            .flat_map(|group| catalog.tools_of_group(*group, client))
            .map(String::as_str);
        whole_server
            .union(ToolSet::named(grouped))
            .union(overridden(ToolAction::Include))
            .intersection(overridden(ToolAction::Exclude).complement())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 3] = ["a", "b", "c"];

    fn any_set() -> impl Strategy<Value = ToolSet<'static>> {
        (
            any::<bool>(),
            proptest::sample::subsequence(&NAMES[..], 0..=3),
        )
            .prop_map(|(is_all, names)| {
                let names = names.into_iter().collect();
                if is_all {
                    ToolSet::AllBut(names)
                } else {
                    ToolSet::Only(names)
                }
            })
    }

    fn holds(set: &ToolSet<'_>, name: &str) -> bool {
        match set {
            ToolSet::Only(names) => names.contains(name),
            ToolSet::AllBut(missing) => !missing.contains(name),
        }
    }

    proptest! {
        /// `d` stands for every tool that nobody names.
        #[test]
        fn sets_are_sets(a in any_set(), b in any_set()) {
            for name in ["a", "b", "c", "d"] {
                let (in_a, in_b) = (holds(&a, name), holds(&b, name));
                prop_assert_eq!(holds(&a.clone().union(b.clone()), name), in_a || in_b);
                prop_assert_eq!(holds(&a.clone().intersection(b.clone()), name), in_a && in_b);
                prop_assert_eq!(holds(&a.clone().complement(), name), !in_a);
            }
            let is_empty = !["a", "b", "c", "d"].iter().any(|name| holds(&a, name));
            prop_assert_eq!(a.is_empty(), is_empty);
        }
    }

    #[test]
    fn a_star_is_every_tool() {
        assert_eq!(ToolSet::named(["a", "*"]), ToolSet::all());
        assert_eq!(ToolSet::named([]), ToolSet::none());
    }
}
