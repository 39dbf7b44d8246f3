//! What broad searches and filters found, so that the next page of one need not search again.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::matches::Matches;
use crate::sql::Query;

/// Searches that are remembered, those of all lists together.
const MOST: usize = 64;
/// Segments of all of them, 80 bytes each: five megabytes.
const MOST_SEGMENTS: usize = 65_536;

/// The searches that were asked for last.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The one that was used last is first.
    searches: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    kind: &'static str,
    condition: Query,
    matches: Arc<Matches>,
}

impl Known {
    /// Whether a search is remembered.
    pub(super) fn has(&self, kind: &'static str, condition: &Query) -> bool {
        self.lock().iter().any(|entry| entry.is_of(kind, condition))
    }

    /// What a search found, which may be old; nothing, if it is not remembered.
    pub(super) fn get(&self, kind: &'static str, condition: &Query) -> Arc<Matches> {
        let mut searches = self.lock();
        let Some(place) = searches
            .iter()
            .position(|entry| entry.is_of(kind, condition))
        else {
            return Arc::default();
        };
        let Some(entry) = searches.remove(place) else {
            return Arc::default();
        };
        let matches = Arc::clone(&entry.matches);
        searches.push_front(entry);
        matches
    }

    /// Remembers what a search found, and forgets those that were not used for longest.
    pub(super) fn put(&self, kind: &'static str, condition: Query, matches: Arc<Matches>) {
        let mut searches = self.lock();
        searches.retain(|entry| !entry.is_of(kind, &condition));
        searches.push_front(Entry {
            kind,
            condition,
            matches,
        });
        searches.truncate(MOST);
        let mut segments = 0;
        searches.retain(|entry| {
            segments += entry.matches.size();
            segments <= MOST_SEGMENTS
        });
    }

    /// Nothing in here is ever half changed.
    fn lock(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.searches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_of(&self, kind: &'static str, condition: &Query) -> bool {
        self.kind == kind && self.condition == *condition
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::query;

    #[test]
    fn the_search_that_was_not_used_for_longest_is_forgotten() {
        let known = Known::default();
        let condition = |number: usize| query(" and name = ").bind(number as u64);
        for number in 0..=MOST {
            known.put("users", condition(number), Arc::default());
            known.get("users", &condition(0));
        }
        assert!(known.has("users", &condition(0)));
        assert!(!known.has("users", &condition(1)));
        assert!(known.has("users", &condition(MOST)));
        assert!(!known.has("virtual_keys", &condition(0)));
    }
}
