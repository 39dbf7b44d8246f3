//! The idle connections of one provider.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::UpstreamConfig;
use super::link::Link;

/// Newest last; the newest is used first, so that a burst's surplus grows old and is closed.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<VecDeque<Idle>>,
    idle_timeout: Duration,
    max_idle: usize,
}

#[derive(Debug)]
struct Idle {
    link: Box<Link>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(config: &UpstreamConfig) -> Self {
        Self {
            idle: Mutex::default(),
            idle_timeout: config.idle_timeout,
            max_idle: config.max_idle_per_provider,
        }
    }

    /// A connection that is open as far as we can tell.
    pub(super) fn take(&self) -> Option<Box<Link>> {
        loop {
            let mut idle = self.idle.lock().pop_back()?;
            if idle.since.elapsed() >= self.idle_timeout {
                // The others are older still.
                drop(std::mem::take(&mut *self.idle.lock()));
                return None;
            }
            if idle.link.is_idle() {
                return Some(idle.link);
            }
        }
    }

    /// Keeps a connection whose last answer ended cleanly.
    pub(super) fn put(&self, link: Box<Link>) {
        let since = Instant::now();
        let surplus = {
            let mut idle = self.idle.lock();
            idle.push_back(Idle { link, since });
            if idle.len() > self.max_idle {
                idle.pop_front()
            } else {
                None
            }
        };
        // Closing a socket is a system call: not under the lock.
        drop(surplus);
    }

    /// Closes what was unused for too long.
    pub(super) fn sweep(&self) {
        let mut expired = Vec::new();
        {
            let mut idle = self.idle.lock();
            while idle
                .front()
                .is_some_and(|oldest| oldest.since.elapsed() >= self.idle_timeout)
            {
                expired.extend(idle.pop_front());
            }
        }
    }
}
