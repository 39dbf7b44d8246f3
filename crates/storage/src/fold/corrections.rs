//! Corrections by hand become entries of the audit trail, in the transaction that brings them into the counters.

use serde::Serialize;
use tollgate_domain::accounting::{Corrected, Correction};
use tollgate_domain::ids::BudgetId;
use tollgate_domain::limits::ResetDuration;
use tollgate_domain::{Timestamp, Usd};

use crate::audit::{self, NewAuditEntry};
use crate::error::Result;
use crate::idempotency;
use crate::sql::to_json;
use crate::tx::Tx;

/// Why it was done, and of a budget in which window.
#[derive(Serialize)]
struct Metadata<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowRow>,
}

#[derive(Serialize)]
struct WindowRow {
    reset_duration: ResetDuration,
    start: Timestamp,
    end: Timestamp,
}

pub(super) async fn record(tx: &mut Tx, corrections: &[Correction]) -> Result<()> {
    for correction in corrections {
        audit::append(tx, entry(correction)?).await?;
        let note = &correction.note;
        if let Some(once) = &note.once {
            idempotency::note_made(tx, &note.actor, once, correction.at).await?;
        }
    }
    Ok(())
}

fn entry(correction: &Correction) -> Result<NewAuditEntry> {
    let note = &correction.note;
    let (action, target_kind, target_id, field, window) = match &correction.of {
        Corrected::Budget(counter) => (
            "adjust",
            "budget",
            BudgetId::from_uuid(counter.key.line).to_string(),
            "current_usage",
            Some(WindowRow {
                reset_duration: counter.key.duration,
                start: counter.start,
                end: counter.end,
            }),
        ),
        Corrected::InDoubt(request) => {
            ("resolve", "in_doubt", request.to_string(), "cost_usd", None)
        }
    };
    // A decimal as it is: a number of JSON that never was a float.
    let amount = |usd: Usd| format!("{{\"{field}\":{usd}}}");
    Ok(NewAuditEntry {
        id: note.id,
        at: correction.at,
        actor: note.actor.clone(),
        action,
        target_kind,
        target_id,
        profile: note.profile,
        user: note.user,
        previous_values: Some(amount(correction.before)),
        new_values: Some(amount(correction.after)),
        metadata: Some(to_json(
            "metadata",
            &Metadata {
                reason: &note.reason,
                window,
            },
        )?),
    })
}
