//! Ids of teams, business units and customers, whose prefix says which they are.

use tollgate_domain::snapshot::GroupId;

use crate::error::Result;
use crate::sql::corrupt;

pub(crate) fn text(id: GroupId) -> String {
    match id {
        GroupId::Team(id) => id.to_string(),
        GroupId::BusinessUnit(id) => id.to_string(),
        GroupId::Customer(id) => id.to_string(),
    }
}

pub(crate) fn parse(column: &'static str, text: &str) -> Result<GroupId> {
    let prefix = text.split('_').next().unwrap_or_default();
    match prefix {
        "team" => text.parse().map(GroupId::Team),
        "bu" => text.parse().map(GroupId::BusinessUnit),
        _ => text.parse().map(GroupId::Customer),
    }
    .map_err(|error| corrupt(column, error))
}
