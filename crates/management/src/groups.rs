//! Teams, customers and business units: groups of users, whose limits hold for every member's request.
//!
//! The three are one thing under three names, so their operations are written once ([`mod@operations`]) and mounted three
//! times ([`families`]).

mod content;
mod entity_profile;
mod families;
mod operations;
mod view;

use tollgate_domain::snapshot::GroupId;
use tollgate_storage::groups::{self, GroupKind, StoredGroup};
use tollgate_storage::{Constraint, Db, StorageError};

pub(crate) use self::families::operations;
use crate::problem::{Answer, Problem};

/// The group's id, as the API writes it.
pub(crate) fn id_text(id: GroupId) -> String {
    match id {
        GroupId::Team(id) => id.to_string(),
        GroupId::BusinessUnit(id) => id.to_string(),
        GroupId::Customer(id) => id.to_string(),
    }
}

/// What a group is called in messages and audit entries.
pub(crate) const fn thing(id: GroupId) -> &'static str {
    match id {
        GroupId::Team(_) => "team",
        GroupId::BusinessUnit(_) => "business unit",
        GroupId::Customer(_) => "customer",
    }
}

/// The group, or 404.
async fn get_existing(db: impl Into<Db<'_>>, id: GroupId) -> Answer<StoredGroup> {
    groups::find(db, id)
        .await?
        .ok_or_else(|| Problem::not_found(thing(id), id_text(id)))
}

/// What the database refused, in terms of the request.
fn explain(error: StorageError, group: &StoredGroup) -> Problem {
    if error.conflicts_with(Constraint::GroupName) {
        let what = GroupKind::of(group.id).as_str().replace('_', " ");
        return Problem::conflict(
            "name_taken",
            format!("a {what} is named `{}` already", group.name),
        )
        .at("/name");
    }
    match error {
        StorageError::Reference => {
            Problem::unknown_reference("", "no such customer or business unit exists")
        }
        other => other.into(),
    }
}
