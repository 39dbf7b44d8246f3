//! What the gate counts. Labels come from closed sets, or from configuration; nothing a caller sends becomes a label.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use tollgate_domain::accounting::{Ending, Outcome};
use tollgate_domain::provider::ProviderName;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_domain::{Clock, ErrorKind, Usd};
use tollgate_ledger::Ledger;

use crate::running::Running;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByCode {
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByEnd {
    provider: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDirection {
    provider: String,
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByProvider {
    provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByMode {
    reservation: &'static str,
}

/// The counters of one provider, each made when it first counts something.
#[derive(Debug, Default)]
struct OfProvider {
    ended: [OnceLock<Counter>; Outcome::ALL.len()],
    /// Input and output.
    tokens: [OnceLock<Counter>; 2],
    cost_nanos: OnceLock<Counter>,
}

/// The gate's counters.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// What the families below have of each provider: every request counts, and a name is looked up once instead of
    /// once for each family.
    by_provider: RwLock<HashMap<ProviderName, OfProvider>>,
    admitted: Counter,
    refused: Family<ByCode, Counter>,
    ended: Family<ByEnd, Counter>,
    tokens: Family<ByDirection, Counter>,
    cost_nanos: Family<ByProvider, Counter>,
    over_reserved: Family<ByMode, Counter>,
    over_reserved_nanos: Family<ByMode, Counter>,
    bound_breaches: Counter,
    shadowed: Family<ByCode, Counter>,
    swept: Counter,
}

impl Metrics {
    pub(crate) fn register(
        registry: &mut Registry,
        ledger: &Arc<Ledger>,
        running: &Arc<Running>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("tollgate");
        registry.register(
            "admissions",
            "Requests that were admitted",
            metrics.admitted.clone(),
        );
        registry.register(
            "refusals",
            "Requests that were refused, by code",
            metrics.refused.clone(),
        );
        registry.register(
            "requests",
            "Admitted requests that ended, by provider and outcome",
            metrics.ended.clone(),
        );
        registry.register(
            "tokens",
            "Tokens charged, by provider",
            metrics.tokens.clone(),
        );
        registry.register(
            "cost_nanodollars",
            "Cost charged, in billionths of a dollar, by provider",
            metrics.cost_nanos.clone(),
        );
        registry.register(
            "over_reserved_requests",
            "Answers that cost more than was held for them",
            metrics.over_reserved.clone(),
        );
        registry.register(
            "over_reserved_nanodollars",
            "By how much they did, in billionths of a dollar",
            metrics.over_reserved_nanos.clone(),
        );
        registry.register(
            "bound_breaches",
            "Answers that cost more than their upper bound",
            metrics.bound_breaches.clone(),
        );
        registry.register(
            "shadow_refusals",
            "Requests that a profile in shadow mode would have refused, by code",
            metrics.shadowed.clone(),
        );
        registry.register(
            "swept_holds",
            "Holds that outlived their request and were charged in doubt",
            metrics.swept.clone(),
        );
        registry.register_collector(Box::new(LedgerGauges {
            ledger: ledger.clone(),
            running: running.clone(),
            clock: clock.clone(),
        }));
        metrics
    }

    pub(crate) fn admitted(&self) {
        self.admitted.inc();
    }

    pub(crate) fn refused(&self, kind: ErrorKind) {
        let code = kind.code();
        self.refused.get_or_create(&ByCode { code }).inc();
    }

    pub(crate) fn swept(&self) {
        self.swept.inc();
    }

    pub(crate) fn shadowed(&self, kind: ErrorKind) {
        let code = kind.code();
        self.shadowed.get_or_create(&ByCode { code }).inc();
    }

    /// `over`: what was charged beyond what was held.
    pub(crate) fn over_reserved(&self, is_bound: bool, over: Usd) {
        let reservation = if is_bound { "bound" } else { "estimate" };
        let by_mode = ByMode { reservation };
        self.over_reserved.get_or_create(&by_mode).inc();
        self.over_reserved_nanos
            .get_or_create(&by_mode)
            .inc_by(nanos(over));
        if is_bound {
            self.bound_breaches.inc();
        }
    }

    pub(crate) fn ended(&self, ending: &Ending, provider: &ProviderName) {
        let known = self.by_provider.read();
        if let Some(counters) = known.get(provider) {
            return self.count(ending, provider, counters);
        }
        drop(known);
        let mut by_provider = self.by_provider.write();
        let counters = by_provider.entry(provider.clone()).or_default();
        self.count(ending, provider, counters);
    }

    fn count(&self, ending: &Ending, provider: &ProviderName, counters: &OfProvider) {
        let name = || provider.as_str().to_owned();
        counters.ended[ending.outcome as usize]
            .get_or_init(|| {
                let by_end = ByEnd {
                    provider: name(),
                    outcome: ending.outcome.as_str(),
                };
                self.ended.get_or_create_owned(&by_end)
            })
            .inc();
        let directions = [
            ("input", ending.usage.total_input()),
            ("output", ending.usage.total_output()),
        ];
        for ((direction, tokens), counter) in directions.into_iter().zip(&counters.tokens) {
            if tokens > 0 {
                let by_direction = || ByDirection {
                    provider: name(),
                    direction,
                };
                counter
                    .get_or_init(|| self.tokens.get_or_create_owned(&by_direction()))
                    .inc_by(tokens);
            }
        }
        if ending.cost > Usd::ZERO {
            let by_provider = || ByProvider { provider: name() };
            counters
                .cost_nanos
                .get_or_init(|| self.cost_nanos.get_or_create_owned(&by_provider()))
                .inc_by(nanos(ending.cost));
        }
    }
}

fn nanos(amount: Usd) -> u64 {
    u64::try_from(amount.nanos()).unwrap_or(0)
}

/// The ledger's own numbers, read at each scrape.
struct LedgerGauges {
    ledger: Arc<Ledger>,
    running: Arc<Running>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for LedgerGauges {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerGauges").finish_non_exhaustive()
    }
}

impl LedgerGauges {
    /// Whole seconds; zero when nothing runs.
    fn oldest_age(&self) -> u64 {
        let now = self.clock.now();
        let age = self.running.oldest().map(|oldest| now.micros_since(oldest));
        age.and_then(|micros| u64::try_from(micros / MICROS_PER_SECOND).ok())
            .unwrap_or(0)
    }
}

impl Collector for LedgerGauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let stats = self.ledger.stats();
        let gauges = [
            ("ledger_holds_open", "Holds of running requests", stats.open),
            (
                "ledger_oldest_hold_age_seconds",
                "How long the oldest running request has run",
                self.oldest_age(),
            ),
            (
                "ledger_in_doubt_unresolved",
                "In-doubt amounts that nobody has resolved",
                stats.unresolved,
            ),
            ("ledger_meters", "Meters that are remembered", stats.meters),
            (
                "ledger_unfolded_bytes",
                "Bytes of the journal that the database has not taken over",
                stats.unfolded_bytes,
            ),
            (
                "ledger_available",
                "Whether holds are admitted",
                u64::from(self.ledger.is_available()),
            ),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let metric = encoder.encode_descriptor(name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        let counters = [
            ("ledger_holds_opened", "Holds given", stats.opened),
            ("ledger_holds_settled", "Holds settled", stats.settled),
            (
                "ledger_holds_released",
                "Holds given back before they were dispatched",
                stats.released,
            ),
            (
                "ledger_holds_in_doubt",
                "Holds charged at their bound",
                stats.in_doubt,
            ),
        ];
        for (name, help, value) in counters {
            let counter = ConstCounter::new(value);
            let metric = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(metric)?;
        }
        Ok(())
    }
}
