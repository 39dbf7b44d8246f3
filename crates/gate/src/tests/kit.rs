//! A gate with one user, one provider and one model.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tollgate_domain::access::{
    Copy, Endpoint, ModelRequest, ModelWish, OutputDefaults, ProviderGrant, Question, Subject, Wish,
};
use tollgate_domain::accounting::{JournalPosition, LedgerState, LogEntry, Outcome};
use tollgate_domain::limits::{Holder, HolderKind, Meter, MeterKind};
use tollgate_domain::live::{Count, LiveCounters as _};
use tollgate_domain::provider::NetworkSettings;
use tollgate_domain::snapshot::Snapshot;
use tollgate_domain::{Clock as _, GatewayError, TokenUsage};
use tollgate_ledger::{Ledger, LedgerConfig};
use tollgate_testkit::clock::{SequentialIds, TestClock};
use tollgate_testkit::entities::{
    catalog, copy, grant, key_text, meter, model_info, provider, snapshot_with,
};
use uuid::Uuid;

use crate::{Admission, Answer, Caller, Credentials, Gate, GateParts};

pub(super) struct TestGate {
    pub(super) gate: Arc<Gate>,
    pub(super) clock: Arc<TestClock>,
    pub(super) registry: Registry,
    // After the gate, which keeps the journal in it.
    _dir: TempDir,
}

impl TestGate {
    pub(super) fn new(snapshot: Snapshot) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(TestClock::default());
        let config = LedgerConfig {
            sync_interval: Duration::from_hours(1),
            ..LedgerConfig::new(dir.path(), Uuid::from_u128(7))
        };
        let ledger = Ledger::open(config, LedgerState::default(), clock.now()).unwrap();
        let mut registry = Registry::default();
        let parts = GateParts {
            ledger: Arc::new(ledger),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            snapshot,
            output: OutputDefaults::default(),
        };
        Self {
            gate: Gate::new(parts, &mut registry),
            clock,
            registry,
            _dir: dir,
        }
    }

    pub(super) fn caller(&self) -> Caller {
        self.authenticate("ada").unwrap()
    }

    pub(super) fn authenticate(&self, name: &str) -> Result<Caller, GatewayError> {
        let text = key_text(name);
        let mut credentials = Credentials::default();
        credentials.shared(text.as_bytes());
        self.gate.authenticate(&credentials)
    }

    pub(super) fn admit(&self, request: &ModelRequest<'_>) -> Result<Admission, GatewayError> {
        let id = self.gate.new_request_id();
        self.gate.admit(&self.caller(), id, request, false)
    }

    pub(super) fn count(&self, meter: &Meter) -> (i64, i64) {
        let Count { used, reserved } = self.gate.ledger().count(meter, self.clock.now());
        (used, reserved)
    }

    pub(super) fn log(&self) -> Vec<LogEntry> {
        let ledger = self.gate.ledger();
        let batch = ledger
            .read_batch(JournalPosition::default(), 1_000)
            .unwrap();
        batch.map_or_else(Vec::new, |batch| batch.log)
    }

    /// The value of a sample in `/metrics`, `0` when there is none.
    pub(super) fn metric(&self, sample: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' ')?.parse().ok())
            .unwrap_or(0)
    }
}

/// Dollars in the meters' unit.
pub(super) fn usd(dollars: i64) -> i64 {
    dollars * 1_000_000_000
}

/// A copy that grants every model of `mock`, limited by these meters.
pub(super) fn limited(name: &str, meters: impl IntoIterator<Item = Meter>) -> Copy {
    Copy {
        grants: vec![grant("mock")],
        meters: meters.into_iter().map(Arc::new).collect(),
        ..copy(name)
    }
}

/// A budget of a copy.
pub(super) fn budget(line: &str, dollars: i64) -> Meter {
    Meter {
        holder: Arc::new(Holder {
            kind: HolderKind::AccessProfile,
            id: line.into(),
            name: line.into(),
        }),
        ..meter(line, MeterKind::Money, usd(dollars))
    }
}

/// Ada with this copy. `mock/small` costs a dollar for a million tokens of input and two for a million of output.
pub(super) fn world(copy: Copy) -> Snapshot {
    snapshot_with(
        copy,
        provider("mock", "http://127.0.0.1:1"),
        catalog([("mock", "small", model_info(1, 2))]),
    )
}

/// As [`world`], with a second provider `slow` besides, which takes ten minutes and twice the price.
pub(super) fn two_providers() -> Snapshot {
    let mut snapshot = world(Copy {
        grants: vec![grant("mock"), grant("slow")],
        ..limited("starter", [])
    });
    let (mock, mut slow) = (
        provider("mock", "http://127.0.0.1:1"),
        provider("slow", "http://127.0.0.1:1"),
    );
    slow.network = slow.network.map(|network| {
        Arc::new(NetworkSettings {
            request_timeout: Duration::from_mins(10),
            ..(*network).clone()
        })
    });
    snapshot.set_providers([mock, slow]);
    snapshot.set_catalog(catalog([
        ("mock", "small", model_info(1, 2)),
        ("slow", "small", model_info(2, 4)),
    ]));
    snapshot
}

/// A grant of another provider.
pub(super) fn grant_of(provider: &str) -> ProviderGrant {
    grant(provider)
}

/// A request of a million tokens of input and so many of output.
pub(super) fn request(model: &str, output: u64) -> ModelRequest<'_> {
    ModelRequest {
        endpoint: Endpoint::ChatCompletions,
        model,
        body_bytes: 4_000_000,
        input_tokens: Some(1_000_000),
        max_output_tokens: Some(output),
        choices: 1,
        has_media: false,
        unbounded: None,
    }
}

pub(super) fn reported(input: u64, output: u64) -> Answer {
    Answer {
        outcome: Outcome::Reported,
        usage: TokenUsage {
            input,
            output,
            ..TokenUsage::default()
        },
        status: 200,
        error_code: None,
        first_byte_at: None,
    }
}

/// What Ada's key asks `explain` about such a request.
pub(super) fn question<'a>(test: &TestGate, asked: &ModelRequest<'a>) -> Question<'a> {
    Question {
        subject: Subject::Key(test.caller().key),
        wish: Wish::Model(ModelWish {
            provider: None,
            model: asked.model,
            endpoint: asked.endpoint,
            input_tokens: asked.input_tokens,
            max_output_tokens: asked.max_output_tokens,
        }),
        at: None,
    }
}
