//! Usage when windows move: an edit that keeps a line's duration and changes where its windows lie takes what was used
//! in the running window along. A changed duration starts at zero.

use std::sync::Arc;

use tollgate_domain::Timestamp;
use tollgate_domain::limits::Meter;
use tollgate_domain::live::{AdjustError, LiveCounters};

use crate::problem::Problem;

/// Usage that moves from one window to another.
#[derive(Debug, Default)]
pub(crate) struct Carried(Vec<(Arc<Meter>, i64)>);

/// Puts what was used in the old windows into the new ones. The old ones keep theirs until the change is stored, see
/// [`Carried::clear_old`].
///
/// # Errors
/// When the ledger takes no writes; then nothing should be stored.
pub(crate) fn carry(
    live: &dyn LiveCounters,
    before: &[Arc<Meter>],
    after: &[Arc<Meter>],
    now: Timestamp,
) -> Result<Carried, Problem> {
    let mut carried = Carried::default();
    for old in before {
        let Some(new) = after.iter().find(|new| has_moved(old, new, now)) else {
            continue;
        };
        let used = live.count(old, now).used;
        if used != 0 {
            live.adjust(new, used, now)?;
            carried.0.push((old.clone(), used));
        }
    }
    Ok(carried)
}

impl Carried {
    /// Both together.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Takes from the old windows what the new ones got, so that moving back does not count it twice.
    pub(crate) fn clear_old(self, live: &dyn LiveCounters, now: Timestamp) {
        for (meter, used) in self.0 {
            if let Err(error) = live.adjust(&meter, -used, now) {
                tracing::warn!(cause = %error, line = %meter.line_id, "an old window keeps what was carried on");
            }
        }
    }
}

/// The same line, counting for as long, in another window.
fn has_moved(old: &Meter, new: &Meter, now: Timestamp) -> bool {
    let (Some(was), Some(is)) = (&old.window, &new.window) else {
        return false;
    };
    old.id == new.id && was.duration == is.duration && was.window(now).key != is.window(now).key
}

impl From<AdjustError> for Problem {
    fn from(error: AdjustError) -> Self {
        match error {
            AdjustError::Unavailable => Self::unavailable(error.to_string()),
            AdjustError::NotInDoubt => Self::not_found("amount in doubt", error),
        }
    }
}
