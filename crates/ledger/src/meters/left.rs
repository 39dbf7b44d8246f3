//! Which windows were left, as a reader of the journal knows it.

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::CounterKey;
use tollgate_domain::hash::OwnMap;

use super::Move;

/// Windows that the journal says were left, with the end of those that their usage went to.
///
/// Whoever reads the journal sends what is held in such a window after the usage that left it. So a line that comes back to
/// one has to say so, also when it takes nothing along and the table has forgotten it: by a move from there to there.
#[derive(Debug, Default)]
pub(super) struct Left(OwnMap<CounterKey, Timestamp>);

impl Left {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The move as the journal has to have it; `None` when it says nothing new, because a line stays where it is.
    pub(super) fn note(&mut self, moved: Move, at: Timestamp) -> Option<Move> {
        let (from, mut to) = (moved.from.key, moved.from.key);
        to.window = moved.to.key;
        let was_left = self.0.remove(&to).is_some();
        if from == to {
            return was_left.then_some(moved);
        }
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, end| *end > at);
        }
        self.0.insert(from, moved.to.end);
        Some(moved)
    }
}
