//! Corrections that are made once, however often they are asked for.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::MadeOnce;
use tollgate_domain::ids::ResetId;
use tollgate_domain::live::{AdjustError, CorrectionNote, Once};

/// An actor and its key.
type Name = (String, String);

/// What was made in the last day by whoever named a key, and what was set back to zero. It comes from the journal and
/// from the database, so that neither a crash nor a caller who went away before the answer makes anything twice.
#[derive(Debug, Default)]
pub(super) struct Made {
    by_name: HashMap<Name, (Timestamp, [u8; 32])>,
    /// The same, oldest first.
    order: VecDeque<(Timestamp, Name)>,
    /// What was set back to zero, as long as the database has not heard of it.
    pub(super) resets: BTreeSet<ResetId>,
}

impl Made {
    pub(super) fn new(made: &[MadeOnce]) -> Self {
        let mut all = Self::default();
        for one in made {
            all.insert(&one.actor, &one.once, one.at);
        }
        all
    }

    /// Whether the correction that `note` names was made before.
    pub(super) fn has(&self, note: &CorrectionNote, now: Timestamp) -> Result<bool, AdjustError> {
        let Some(once) = &note.once else {
            return Ok(false);
        };
        match self.by_name.get(&name(&note.actor, once)) {
            Some((at, fingerprint)) if *at >= oldest(now) => {
                if *fingerprint == once.fingerprint {
                    Ok(true)
                } else {
                    Err(AdjustError::KeyReused)
                }
            }
            _ => Ok(false),
        }
    }

    /// Remembers what was made, and forgets what was made too long ago.
    pub(super) fn add(&mut self, note: &CorrectionNote, at: Timestamp) {
        if let Some(once) = &note.once {
            self.insert(&note.actor, once, at);
        }
        let oldest = oldest(at);
        while let Some((made, name)) = self.order.pop_front_if(|(made, _)| *made < oldest) {
            // Its key may have been used again since.
            if self.by_name.get(&name).is_some_and(|(at, _)| *at == made) {
                self.by_name.remove(&name);
            }
        }
    }

    fn insert(&mut self, actor: &str, once: &Once, at: Timestamp) {
        let name = name(actor, once);
        self.order.push_back((at, name.clone()));
        self.by_name.insert(name, (at, once.fingerprint));
    }
}

fn name(actor: &str, once: &Once) -> Name {
    (actor.to_owned(), once.key.clone())
}

const fn oldest(now: Timestamp) -> Timestamp {
    now.saturating_add_micros(-Once::KEPT_FOR)
}
