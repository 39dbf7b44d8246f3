//! Who calls, for whom, and which copies may pay.

use std::sync::Arc;

use crate::access::grant::{Copy, ProviderGrant};
use crate::access::plan::{Considered, Outcome, Payer, Refusal};
use crate::access::profile::McpGrants;
use crate::access::settings::Settings;
use crate::error::{ErrorKind, GatewayError};
use crate::limits::Meter;
use crate::provider::Provider;
use crate::snapshot::{Group, GroupProfileMode, KeyHolder, Snapshot, User, VirtualKey};
use crate::time::Timestamp;

/// A copy, or the key itself, as something that may pay.
pub(super) struct Source<'a> {
    pub(super) payer: Payer,
    pub(super) name: &'a str,
    pub(super) grants: &'a [ProviderGrant],
    pub(super) mcp: &'a McpGrants,
    pub(super) meters: &'a [Arc<Meter>],
    pub(super) settings: Settings,
}

/// The caller with everything that the snapshot knows about it.
pub(super) struct Caller<'a> {
    pub(super) key: &'a VirtualKey,
    pub(super) user: Option<&'a Arc<User>>,
    pub(super) groups: Vec<&'a Arc<Group>>,
    pub(super) sources: Vec<Source<'a>>,
    /// Copies that are inactive or expired, and why they grant nothing.
    pub(super) ended: Vec<(Source<'a>, String)>,
    /// Copies that cap every grant: profiles of groups in mode `restrict`.
    pub(super) caps: Vec<&'a Arc<Copy>>,
    /// Whether the key's own grants cap, rather than grant.
    pub(super) is_capped_by_key: bool,
    /// The same for MCP tools.
    pub(super) is_capped_by_key_in_tools: bool,
}

impl<'a> Source<'a> {
    fn of_copy(copy: &'a Arc<Copy>) -> Self {
        Self {
            payer: Payer::Copy(copy.clone()),
            name: &copy.name,
            grants: &copy.grants,
            mcp: &copy.mcp,
            meters: &copy.meters,
            settings: copy.settings,
        }
    }

    /// A copy that grants nothing any more, with the reason.
    fn of_ended(copy: &'a Arc<Copy>) -> (Self, String) {
        let why = match copy.expires_at {
            Some(at) if copy.is_active => format!("expired at {at}"),
            _ => "is inactive".to_owned(),
        };
        let message = format!("the access profile `{}` {why}", copy.name);
        (Self::of_copy(copy), message)
    }

    /// What it says of `provider`.
    pub(super) fn grant(&self, provider: &Provider) -> Option<&'a ProviderGrant> {
        self.grants
            .iter()
            .find(|grant| grant.provider == provider.name)
    }

    /// A refusal by a rule of the source itself: final, or only noted in shadow mode. The first one stays.
    pub(super) fn refuse(
        &self,
        refusal: Refusal,
        shadowed: &mut Option<Refusal>,
    ) -> Result<(), Refusal> {
        if self.settings.shadow {
            shadowed.get_or_insert(refusal);
            Ok(())
        } else {
            Err(refusal)
        }
    }

    pub(super) fn considered(
        &self,
        provider: Option<&Arc<Provider>>,
        outcome: Outcome,
    ) -> Considered {
        Considered {
            payer: self.payer.clone(),
            provider: provider.cloned(),
            outcome,
        }
    }
}

impl<'a> Caller<'a> {
    pub(super) fn of(
        snapshot: &'a Snapshot,
        key: &'a VirtualKey,
        now: Timestamp,
    ) -> Result<Self, Box<GatewayError>> {
        let blocked =
            |message: String| Box::new(GatewayError::new(ErrorKind::AccessBlocked, message));
        if !key.is_active {
            return Err(blocked(format!(
                "the virtual key `{}` is inactive",
                key.name
            )));
        }
        if let Some(at) = key.expires_at.filter(|at| *at <= now) {
            return Err(blocked(format!(
                "the virtual key `{}` expired at {at}",
                key.name
            )));
        }
        let (user, own_groups) = match key.holder {
            KeyHolder::User(id) => match snapshot.user(id) {
                Some(user) if user.is_active => (Some(user), user.groups.clone()),
                Some(user) => return Err(blocked(format!("the user `{}` is inactive", user.name))),
                None => {
                    return Err(blocked(
                        "the holder of this key no longer exists".to_owned(),
                    ));
                }
            },
            KeyHolder::Group(id) => match snapshot.group(id) {
                Some(_) => (None, vec![id]),
                None => {
                    return Err(blocked(
                        "the holder of this key no longer exists".to_owned(),
                    ));
                }
            },
            KeyHolder::Itself => (None, Vec::new()),
        };
        let groups = snapshot.with_parents(own_groups);
        let profiles = || groups.iter().filter_map(|group| group.profile.as_ref());
        let own_copies = user.map_or(&[][..], |user| &user.copies);
        let shared = profiles()
            .filter(|profile| profile.mode == GroupProfileMode::Unite)
            .map(|profile| &profile.copy);
        let copies: Vec<_> = own_copies.iter().chain(shared).collect();
        let caps = profiles()
            .filter(|profile| profile.mode == GroupProfileMode::Restrict)
            .map(|profile| &profile.copy)
            .collect();
        if copies.is_empty() && key.is_managed {
            return Err(blocked(format!(
                "the virtual key `{}` is placed under an access profile, and its holder has none any more",
                key.name
            )));
        }
        let sources: Vec<_> = if copies.is_empty() {
            vec![Source {
                payer: Payer::Key(key.id),
                name: &key.name,
                grants: &key.grants,
                mcp: &key.mcp,
                meters: &[],
                settings: key.settings,
            }]
        } else {
            copies
                .iter()
                .filter(|copy| copy.is_live(now))
                .map(|copy| Source::of_copy(copy))
                .collect()
        };
        if sources.is_empty() {
            return Err(blocked(
                "every access profile of this key's holder is inactive or expired".to_owned(),
            ));
        }
        Ok(Self {
            key,
            user,
            groups,
            sources,
            ended: copies
                .iter()
                .filter(|copy| !copy.is_live(now))
                .map(|copy| Source::of_ended(copy))
                .collect(),
            caps,
            is_capped_by_key: !copies.is_empty() && !key.grants.is_empty(),
            is_capped_by_key_in_tools: !copies.is_empty() && !key.mcp.is_empty(),
        })
    }
}
