//! Whose limits may have become lower since somebody looked: by an edit, or because an override has ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tollgate_domain::Timestamp;
use tollgate_domain::limits::Meter;
use tollgate_domain::snapshot::SnapshotChange;

/// What was published and not looked at yet. The publisher adds, the fold takes.
#[derive(Debug)]
pub(crate) struct ChangedLimits(Mutex<BTreeSet<SnapshotChange>>);

impl Default for ChangedLimits {
    /// At a start, nobody knows what was looked at before.
    fn default() -> Self {
        Self(Mutex::new([SnapshotChange::Everything].into()))
    }
}

impl ChangedLimits {
    /// These are in force from now on.
    pub(crate) fn add(&self, changes: &[SnapshotChange]) {
        self.0.lock().extend(changes);
    }
}

/// Whom to look at, and when.
#[derive(Debug)]
pub(super) struct Lookout {
    changed: Arc<ChangedLimits>,
    /// When overrides end, and whose they are.
    ends: BTreeSet<(Timestamp, SnapshotChange)>,
}

impl Lookout {
    pub(super) const fn new(changed: Arc<ChangedLimits>) -> Self {
        Self {
            changed,
            ends: BTreeSet::new(),
        }
    }

    /// Whose limits may have become lower; they are not named again.
    pub(super) fn due(&mut self, now: Timestamp) -> BTreeSet<SnapshotChange> {
        let mut due = std::mem::take(&mut *self.changed.0.lock());
        while let Some((end, whose)) = self.ends.pop_first() {
            if end > now {
                self.ends.insert((end, whose));
                break;
            }
            due.insert(whose);
        }
        due
    }

    /// Remembers when the override of this limit ends, to look then.
    pub(super) fn expect(&mut self, meter: &Meter, whose: SnapshotChange, now: Timestamp) {
        let end = meter.boost.and_then(|boost| boost.until);
        if let Some(end) = end.filter(|end| *end > now) {
            self.ends.insert((end, whose));
        }
    }

    /// Nobody could look: they are due again.
    pub(super) fn again(&self, due: BTreeSet<SnapshotChange>) {
        self.changed.0.lock().extend(due);
    }
}

#[cfg(test)]
mod tests {
    use tollgate_domain::ids::UserId;
    use tollgate_domain::limits::{Boost, MeterKind};
    use tollgate_testkit::entities::{meter, uuid_of};

    use super::*;

    const fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    fn user(name: &str) -> SnapshotChange {
        SnapshotChange::User(UserId::from_uuid(uuid_of(name)))
    }

    #[test]
    fn everybody_is_due_at_the_start_and_then_who_changed() {
        let changed = Arc::new(ChangedLimits::default());
        let mut lookout = Lookout::new(changed.clone());
        assert_eq!(lookout.due(at(0)), [SnapshotChange::Everything].into());
        assert_eq!(lookout.due(at(0)), BTreeSet::new());
        changed.add(&[user("ada"), user("ada")]);
        let due = lookout.due(at(0));
        assert_eq!(due, [user("ada")].into());
        lookout.again(due);
        assert_eq!(lookout.due(at(0)), [user("ada")].into());
    }

    #[test]
    fn an_override_makes_its_holder_due_at_its_end() {
        let mut lookout = Lookout::new(Arc::default());
        lookout.due(at(0));
        for (name, until) in [
            ("ada", Some(5)),
            ("bob", Some(7)),
            ("eve", None),
            ("past", Some(3)),
        ] {
            let until = until.map(at);
            let boosted = Meter {
                boost: Some(Boost { amount: 1, until }),
                ..meter("line", MeterKind::Money, 1)
            };
            lookout.expect(&boosted, user(name), at(3));
        }
        assert_eq!(lookout.due(at(4)), BTreeSet::new());
        assert_eq!(lookout.due(at(5)), [user("ada")].into());
        assert_eq!(lookout.due(at(9)), [user("bob")].into());
        assert_eq!(lookout.due(at(99)), BTreeSet::new());
    }
}
