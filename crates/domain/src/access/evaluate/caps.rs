//! What takes away from every source alike: the key's own list, and profiles of groups in mode `restrict`.

use std::fmt;

use super::caller::Caller;
use crate::access::grant::{Copy, ProviderGrant};
use crate::access::plan::Refusal;
use crate::access::tools::ToolSet;
use crate::error::ErrorKind;
use crate::provider::Provider;
use crate::snapshot::{McpCatalog, McpClient, VirtualKey};

/// Who caps.
#[derive(Clone, std::marker::Copy)]
enum Cap<'a> {
    Key(&'a VirtualKey),
    Copy(&'a Copy),
}

impl Cap<'_> {
    const fn is_in_shadow(self) -> bool {
        match self {
            Self::Key(_) => false,
            Self::Copy(copy) => copy.settings.shadow,
        }
    }
}

impl fmt::Display for Cap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "the virtual key `{}`", key.name),
            Self::Copy(copy) => write!(f, "the group profile `{}`", copy.name),
        }
    }
}

impl<'a> Caller<'a> {
    /// What the key's own list says of this provider.
    pub(super) fn key_grant(&self, provider: &Provider) -> Option<&'a ProviderGrant> {
        let mut grants = self.key.grants.iter();
        grants.find(|grant| grant.provider == provider.name)
    }

    /// What the key's own list says of this provider, when it caps.
    pub(super) fn capping_grant(&self, provider: &Provider) -> Option<&'a ProviderGrant> {
        self.key_grant(provider).filter(|_| self.is_capped_by_key)
    }

    /// What a cap in shadow mode would have refused; caps that are not refuse. `None` = whatever model.
    pub(super) fn check_caps(
        &self,
        provider: &Provider,
        model: Option<&str>,
    ) -> Result<Option<Refusal>, Refusal> {
        let by_key = self
            .is_capped_by_key
            .then(|| (Cap::Key(self.key), self.capping_grant(provider)));
        let by_copies = self
            .caps
            .iter()
            .map(|copy| (Cap::Copy(copy), copy.grant(&provider.name)));
        let mut shadowed = None;
        for (cap, grant) in by_key.into_iter().chain(by_copies) {
            match capped(cap, grant, provider, model) {
                Err(refusal) if cap.is_in_shadow() => {
                    shadowed.get_or_insert(refusal);
                }
                verdict => verdict?,
            }
        }
        Ok(shadowed)
    }

    /// As [`Caller::check_caps`], for the tools of an MCP client: leaves of `wanted` what the caps allow.
    pub(super) fn check_tool_caps<'s>(
        &'s self,
        catalog: &'s McpCatalog,
        client: &McpClient,
        wanted: &mut ToolSet<'s>,
        what: impl fmt::Display,
    ) -> Result<Option<Refusal>, Refusal> {
        let by_key = self
            .is_capped_by_key_in_tools
            .then_some((Cap::Key(self.key), &self.key.mcp));
        let by_copies = self.caps.iter().map(|copy| (Cap::Copy(copy), &copy.mcp));
        let mut shadowed = None;
        for (cap, grants) in by_key.into_iter().chain(by_copies) {
            let left = wanted
                .clone()
                .intersection(grants.tools_of(client.id, catalog));
            let is_allowed = !left.is_empty();
            let refusal = || {
                let message = format!("{cap} does not allow {what}");
                Refusal::new(ErrorKind::McpToolBlocked, message)
            };
            match (cap.is_in_shadow(), is_allowed) {
                (false, true) => *wanted = left,
                (false, false) => return Err(refusal()),
                (true, true) => {}
                (true, false) => {
                    shadowed.get_or_insert_with(refusal);
                }
            }
        }
        Ok(shadowed)
    }
}

/// `grant`: `None` when the cap does not name the provider at all.
fn capped(
    cap: Cap<'_>,
    grant: Option<&ProviderGrant>,
    provider: &Provider,
    model: Option<&str>,
) -> Result<(), Refusal> {
    let name = &provider.name;
    let Some(grant) = grant else {
        let message = format!("{cap} does not allow the provider `{name}`");
        return Err(Refusal::new(ErrorKind::ProviderBlocked, message));
    };
    let message = match model {
        Some(model) if !grant.allows(model) => {
            format!("{cap} does not allow the model `{model}` of `{name}`")
        }
        None if !grant.opens() => format!("{cap} allows no model of `{name}`"),
        _ => return Ok(()),
    };
    Err(Refusal::new(ErrorKind::ModelBlocked, message))
}
