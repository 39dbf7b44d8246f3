//! The body of a webhook's request.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tollgate_domain::Timestamp;
use tollgate_domain::events::EventKind;
use tollgate_domain::ids::AuditEntryId;

use crate::audit::AuditEntry;
use crate::error::Result;
use crate::sql::{corrupt, from_json, to_json};

/// What every event has.
#[derive(Serialize)]
struct Payload<'a> {
    id: AuditEntryId,
    #[serde(rename = "type")]
    kind: &'a str,
    created_at: Timestamp,
    data: Fields,
}

/// Fields whose numbers stay as they were written: amounts of money are exact.
type Fields = BTreeMap<String, Box<RawValue>>;

/// Everything that the audit trail says: what was done to what by whom, the thing afterwards, and the facts of the act,
/// which are fields of their own.
pub(super) fn payload(event: EventKind, entry: &AuditEntry) -> Result<String> {
    let mut data: Fields = match &entry.metadata {
        Some(text) => from_json("metadata", text)?,
        None => Fields::new(),
    };
    put(&mut data, "actor", &entry.actor)?;
    put(&mut data, "action", &entry.action)?;
    put(&mut data, "target_kind", &entry.target_kind)?;
    put(&mut data, "target_id", &entry.target_id)?;
    put(&mut data, "access_profile_id", &entry.profile)?;
    put(&mut data, "user_id", &entry.user)?;
    let values = match &entry.new_values {
        Some(text) => Some(from_json::<Box<RawValue>>("new_values", text)?),
        None => None,
    };
    put(&mut data, "values", &values)?;
    let payload = Payload {
        id: entry.id,
        kind: event.as_str(),
        created_at: entry.at,
        data,
    };
    to_json("payload", &payload)
}

fn put(data: &mut Fields, name: &str, value: &impl Serialize) -> Result<()> {
    let value = to_raw_value(value).map_err(|error| corrupt("payload", error))?;
    data.insert(name.to_owned(), value);
    Ok(())
}
