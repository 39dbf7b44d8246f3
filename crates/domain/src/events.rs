//! What the outside can be told of: a closed list of events, each a kind of entry of the audit trail.
//!
//! An event is not a second account of what happened: it is the audit entry, told to whoever asked for entries of its
//! kind. So nothing is told that was not done, and nothing on the list happens without being told.

use std::fmt;
use std::str::FromStr;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $text:literal of $kind:literal after $($action:literal)|+;)+) => {
        /// A kind of event.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $name,)+
        }

        impl EventKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// As webhooks name it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The event that an audit entry is: `action` done to a thing of the kind `target_kind`. `None` for what
            /// the outside is not told of.
            pub fn of(action: &str, target_kind: &str) -> Option<Self> {
                match (target_kind, action) {
                    $(($kind, $($action)|+) => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

events! {
    /// A profile was made, also as a clone.
    ProfileCreated = "access_profile.created" of "access_profile" after "create" | "clone";
    /// A profile has a new version.
    ProfileUpdated = "access_profile.updated"
        of "access_profile" after "update" | "activate" | "deactivate" | "restore";
    /// A profile was deleted.
    ProfileDeleted = "access_profile.deleted" of "access_profile" after "delete";
    /// Copies took over from their profile.
    ProfilePropagated = "access_profile.propagated" of "access_profile" after "propagate";
    /// A user got a profile.
    ProfileAssigned = "access_profile.assigned" of "access_profile" after "assign";
    /// A user lost a profile.
    ProfileDetached = "access_profile.detached" of "access_profile" after "detach";
    /// The time of a user's copy is over.
    ProfileExpired = "access_profile.expired" of "access_profile" after "expire";
    /// A budget of a copy got an override, or lost it.
    BudgetOverridden = "access_profile.budget_overridden" of "access_profile" after "override";
    /// A key was made.
    KeyCreated = "virtual_key.created" of "virtual_key" after "create";
    /// A key was changed.
    KeyUpdated = "virtual_key.updated" of "virtual_key" after "update";
    /// A key has a new secret.
    KeyRotated = "virtual_key.rotated" of "virtual_key" after "rotate";
    /// A key's holder collected the secret of an automatic rotation.
    KeySecretCollected = "virtual_key.secret_collected" of "virtual_key" after "collect_secret";
    /// Nobody collected it in time: the key opens nothing until it is rotated by hand.
    KeySecretLost = "virtual_key.secret_lost" of "virtual_key" after "lose_secret";
    /// A key was deleted.
    KeyDeleted = "virtual_key.deleted" of "virtual_key" after "delete";
    /// A budget was spent up to a threshold.
    BudgetThreshold = "budget.threshold_reached" of "budget" after "reach_threshold";
    /// A limit of tokens or requests was used up to a threshold.
    LimitThreshold = "limit.threshold_reached" of "rate_limit" after "reach_threshold";
    /// A user was made.
    UserCreated = "user.created" of "user" after "create";
    /// A user was changed.
    UserUpdated = "user.updated" of "user" after "update";
    /// A user was deleted.
    UserDeleted = "user.deleted" of "user" after "delete";
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no event")]
pub struct UnknownEvent(String);

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownEvent(text.chars().take(80).collect()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_read_back() {
        let names: BTreeSet<_> = EventKind::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(names.len(), EventKind::ALL.len());
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
        }
        assert!("access_profile.changed".parse::<EventKind>().is_err());
    }

    #[test]
    fn events_follow_from_what_was_done_to_what() {
        assert_eq!(
            EventKind::of("restore", "access_profile"),
            Some(EventKind::ProfileUpdated)
        );
        assert_eq!(
            EventKind::of("reach_threshold", "rate_limit"),
            Some(EventKind::LimitThreshold)
        );
        assert_eq!(EventKind::of("create", "management_key"), None);
    }
}
