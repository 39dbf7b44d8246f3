//! Requests with the same key run one after the other. Those with different keys do not meet.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// Whose key it is, and the key.
type Name = (String, String);

/// Who has the turn for each key, and who waits for it. An entry lasts as long as somebody has it or waits.
#[derive(Default)]
pub(crate) struct Turns {
    places: Arc<Mutex<HashMap<Name, Place>>>,
}

#[derive(Default)]
struct Place {
    /// How many have the turn or wait for it.
    interested: usize,
    lock: Arc<AsyncMutex<()>>,
}

/// The turn for a key, or the wait for it. It passes on when dropped.
pub(crate) struct Turn {
    name: Name,
    places: Arc<Mutex<HashMap<Name, Place>>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else has the turn for this actor's key.
    pub(super) async fn wait(&self, actor: &str, key: &str) -> Turn {
        let name = (actor.to_owned(), key.to_owned());
        let lock = {
            let mut places = self.places.lock();
            let place = places.entry(name.clone()).or_default();
            place.interested += 1;
            place.lock.clone()
        };
        // Made before the wait, so that a caller who goes away while waiting leaves nothing behind.
        let mut turn = Turn {
            name,
            places: self.places.clone(),
            held: None,
        };
        turn.held = Some(lock.lock_owned().await);
        turn
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.places.lock().len()
    }
}

impl Turn {
    /// Whose key it is, and the key.
    pub(super) fn name(&self) -> (&str, &str) {
        (&self.name.0, &self.name.1)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.held.take());
        let mut places = self.places.lock();
        if let Some(place) = places.get_mut(&self.name) {
            place.interested -= 1;
            if place.interested == 0 {
                places.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn same_key_waits_and_another_does_not() {
        let turns = Turns::default();
        let first = poll(pin!(turns.wait("ada", "k")));
        assert!(first.is_ready());
        let mut second = pin!(turns.wait("ada", "k"));
        assert!(poll(second.as_mut()).is_pending());
        assert!(poll(pin!(turns.wait("ada", "l"))).is_ready());
        assert!(poll(pin!(turns.wait("eve", "k"))).is_ready());
        drop(first);
        assert!(poll(second).is_ready());
        assert_eq!(turns.len(), 0);
    }

    #[test]
    fn whoever_stops_waiting_leaves_nothing_behind() {
        let turns = Turns::default();
        let first = poll(pin!(turns.wait("ada", "k")));
        {
            let mut second = pin!(turns.wait("ada", "k"));
            assert!(poll(second.as_mut()).is_pending());
            assert_eq!(turns.len(), 1);
        }
        drop(first);
        assert_eq!(turns.len(), 0);
    }
}
