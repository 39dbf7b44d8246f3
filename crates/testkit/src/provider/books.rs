//! What the provider saw and did.

use parking_lot::Mutex;
use tokio::sync::watch;
use tollgate_domain::TokenUsage;

use super::request::ProviderRequest;

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Not yet.
    Running,
    /// The whole answer was sent.
    Finished,
    /// The script broke it off.
    Broken,
    /// The other side closed the connection first.
    PeerLeft,
}

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// What was asked.
    pub request: ProviderRequest,
    /// The work done for it so far, which an invoice would show.
    pub billed: TokenUsage,
    /// How it ended.
    pub end: End,
}

/// The exchanges in order of arrival, and a signal for each change.
pub(super) struct Books {
    exchanges: Mutex<Vec<Exchange>>,
    changed: watch::Sender<()>,
}

impl Default for Books {
    fn default() -> Self {
        Self {
            exchanges: Mutex::default(),
            changed: watch::Sender::new(()),
        }
    }
}

impl Books {
    pub(super) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.exchanges.lock().len()
    }

    pub(super) fn billed(&self) -> TokenUsage {
        let mut sum = TokenUsage::default();
        for exchange in self.exchanges.lock().iter() {
            add(&mut sum, &exchange.billed);
        }
        sum
    }

    pub(super) async fn wait_for_count(&self, count: usize) {
        let mut changes = self.changed.subscribe();
        while self.count() < count {
            changes.changed().await.expect("the books outlive the wait");
        }
    }

    /// Notes a request and returns its number.
    pub(super) fn begin(&self, request: ProviderRequest) -> usize {
        let number = {
            let mut exchanges = self.exchanges.lock();
            exchanges.push(Exchange {
                request,
                billed: TokenUsage::default(),
                end: End::Running,
            });
            exchanges.len() - 1
        };
        self.changed.send_replace(());
        number
    }

    pub(super) fn bill(&self, number: usize, work: &TokenUsage) {
        add(&mut self.exchanges.lock()[number].billed, work);
        self.changed.send_replace(());
    }

    pub(super) fn end(&self, number: usize, end: End) {
        self.exchanges.lock()[number].end = end;
        self.changed.send_replace(());
    }

    pub(super) async fn wait_until(
        &self,
        mut enough: impl FnMut(&[Exchange]) -> bool,
    ) -> Vec<Exchange> {
        let mut changes = self.changed.subscribe();
        loop {
            {
                let exchanges = self.exchanges.lock();
                if enough(&exchanges) {
                    return exchanges.clone();
                }
            }
            changes.changed().await.expect("the books outlive the wait");
        }
    }
}

fn add(sum: &mut TokenUsage, work: &TokenUsage) {
    sum.input += work.input;
    sum.cache_read += work.cache_read;
    sum.cache_write_5m += work.cache_write_5m;
    sum.cache_write_1h += work.cache_write_1h;
    sum.audio_input += work.audio_input;
    sum.output += work.output;
    sum.reasoning += work.reasoning;
    sum.audio_output += work.audio_output;
}
