//! A ledger to test with, and a database that only folds.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tollgate_domain::access::{Endpoint, Need};
use tollgate_domain::accounting::{
    Correction, CounterAmount, CounterKey, Ending, FoldBatch, HoldFacts, LedgerState, LogEntry,
    MadeOnce, OpenHold, Outcome,
};
use tollgate_domain::ids::{AuditEntryId, RequestId, ResetId, VirtualKeyId};
use tollgate_domain::limits::{
    Holder, HolderKind, Meter, MeterId, MeterKind, ResetDuration, WindowSpec,
};
use tollgate_domain::live::{CorrectionNote, UsageReset};
use tollgate_domain::{Timestamp, TokenUsage, Usd};
use uuid::Uuid;

use crate::fs::memory::MemoryFileSystem;
use crate::{Ledger, LedgerConfig, OpenError};

/// A Wednesday noon.
pub(super) fn noon() -> Timestamp {
    "2026-11-11T12:30:00Z".parse().unwrap()
}

pub(super) fn seconds_after(seconds: i64) -> Timestamp {
    noon().saturating_add_micros(seconds * 1_000_000)
}

/// A daily limit, not aligned, anchored at midnight.
pub(super) fn meter(line: u128, kind: MeterKind, limit: i64) -> Meter {
    Meter {
        id: MeterId {
            line: Uuid::from_u128(line),
            kind,
        },
        holder: Arc::new(Holder {
            kind: HolderKind::AccessProfile,
            id: "copy_1".into(),
            name: "team".into(),
        }),
        line_id: format!("bud_{line}").into(),
        scope: "total".into(),
        limit,
        boost: None,
        window: (kind != MeterKind::Parallel).then(|| WindowSpec {
            duration: ResetDuration::Day,
            anchor: "2026-01-01T00:00:00Z".parse().unwrap(),
            zone: None,
            quarter_start_month: 1,
        }),
    }
}

pub(super) fn need(meter: &Arc<Meter>, amount: i64) -> Need {
    Need {
        meter: meter.clone(),
        amount,
        is_enforced: true,
    }
}

pub(super) fn request(number: u128) -> RequestId {
    RequestId::from_uuid(Uuid::from_u128(number))
}

/// What request `number` is, holding so many nano-dollars.
pub(crate) fn facts(number: u128, reserved: i64) -> HoldFacts {
    HoldFacts {
        request: request(number),
        at: noon(),
        key: VirtualKeyId::from_uuid(Uuid::from_u128(1)),
        user: None,
        copy: None,
        profile: None,
        profile_version: Some(3),
        provider: "openai".parse().unwrap(),
        model: "gpt-5".to_owned(),
        endpoint: Endpoint::ChatCompletions,
        is_stream: true,
        is_bound: true,
        reserved_cost: Usd::from_nanos(reserved),
        reserved_tokens: 100,
        shadow: None,
    }
}

/// An answer that cost so many nano-dollars and took ten tokens.
pub(super) fn answered(cost: i64, at: Timestamp) -> Ending {
    Ending {
        at,
        outcome: Outcome::Reported,
        status: 200,
        error_code: None,
        usage: TokenUsage {
            input: 4,
            output: 6,
            ..TokenUsage::default()
        },
        cost: Usd::from_nanos(cost),
        duration_micros: 1_000,
        first_byte_micros: Some(500),
        attempts: 1,
    }
}

/// How a request ended that cost nothing, or what was held.
pub(super) fn ended(outcome: Outcome, at: Timestamp) -> Ending {
    Ending {
        outcome,
        status: 502,
        error_code: Some("upstream_error".to_owned()),
        usage: TokenUsage::default(),
        first_byte_micros: None,
        ..answered(0, at)
    }
}

/// Who corrects, and why; about nobody in particular.
pub(super) fn note(number: u128) -> CorrectionNote {
    CorrectionNote {
        id: AuditEntryId::from_uuid(Uuid::from_u128(number)),
        actor: "mk_1".to_owned(),
        reason: "the provider's invoice says so".to_owned(),
        profile: None,
        user: None,
        once: None,
    }
}

/// Syncs only when it is told to.
/// Sets these meters back to zero.
pub(super) fn reset(number: u128, meters: &[MeterId]) -> UsageReset {
    UsageReset {
        id: ResetId::from_uuid(Uuid::from_u128(number)),
        meters: meters.to_vec(),
    }
}

pub(super) fn config() -> LedgerConfig {
    LedgerConfig {
        sync_interval: Duration::from_hours(1),
        ..LedgerConfig::new("/data", Uuid::from_u128(77))
    }
}

pub(super) fn open(disk: &MemoryFileSystem, state: LedgerState) -> Result<Ledger, OpenError> {
    open_with(disk, &config(), state)
}

pub(super) fn open_with(
    disk: &MemoryFileSystem,
    config: &LedgerConfig,
    state: LedgerState,
) -> Result<Ledger, OpenError> {
    Ledger::open_on(Arc::new(disk.clone()), config, state, noon())
}

/// The process dies: what it wrote is there, and nothing else.
pub(super) fn kill(ledger: Ledger, disk: &MemoryFileSystem) -> MemoryFileSystem {
    let left = disk.copy();
    drop(ledger);
    left
}

pub(super) fn segment(number: u64) -> PathBuf {
    PathBuf::from(format!("/data/journal/{number:016}.journal"))
}

/// A database: everything that folding leaves behind, and nothing else.
#[derive(Debug, Clone, Default)]
pub(super) struct Database {
    pub(super) state: LedgerState,
    pub(super) counters: BTreeMap<CounterKey, CounterAmount>,
    pub(super) log: Vec<LogEntry>,
    /// The audit trail.
    pub(super) corrections: Vec<Correction>,
    /// What it was told that it was set back to zero.
    pub(super) resets: Vec<ResetId>,
    open: BTreeMap<RequestId, OpenHold>,
    in_doubt: BTreeMap<RequestId, OpenHold>,
}

impl Database {
    pub(super) fn state(&self) -> LedgerState {
        LedgerState {
            counters: self.counters.values().copied().collect(),
            open: self.open.values().cloned().collect(),
            in_doubt: self.in_doubt.values().cloned().collect(),
            ..self.state.clone()
        }
    }

    /// Folds everything, in pieces of `limit` records.
    pub(super) fn fold(&mut self, ledger: &Ledger, limit: usize) {
        while let Some(batch) = ledger.read_batch(self.state.position, limit).unwrap() {
            let to = batch.to;
            self.apply(batch);
            ledger.folded(to);
        }
    }

    pub(super) fn apply(&mut self, batch: FoldBatch) {
        assert_eq!(batch.from, self.state.position);
        assert!(batch.to > batch.from);
        self.state.journal = Some(batch.journal);
        self.state.position = batch.to;
        self.state.last_instant = self.state.last_instant.max(Some(batch.last_instant));
        for change in batch.counters {
            let counter = self.counters.entry(change.key).or_insert(CounterAmount {
                amount: 0,
                ..change
            });
            counter.amount += change.amount;
        }
        for request in &batch.closed {
            assert!(self.open.remove(request).is_some());
        }
        for hold in batch.opened {
            self.open.insert(hold.facts.request, hold);
        }
        for hold in batch.in_doubt {
            self.in_doubt.insert(hold.facts.request, hold);
        }
        self.log.extend(batch.log);
        for correction in &batch.corrections {
            let note = &correction.note;
            self.state
                .made_once
                .extend(note.once.clone().map(|once| MadeOnce {
                    actor: note.actor.clone(),
                    once,
                    at: correction.at,
                }));
        }
        self.corrections.extend(batch.corrections);
        self.resets.extend(batch.resets);
        for (request, cost, _) in batch.resolved {
            self.in_doubt.remove(&request);
            let rows = self.log.iter_mut();
            for row in rows.filter(|row| row.facts.request == request) {
                row.ending.cost = cost;
            }
        }
    }

    pub(super) fn sum(&self, kind: MeterKind) -> i64 {
        let of_kind = self.counters.values().filter(|c| c.key.kind == kind);
        of_kind.map(|counter| counter.amount).sum()
    }

    pub(super) fn logged_cost(&self) -> i64 {
        self.log.iter().map(|row| row.ending.cost.nanos()).sum()
    }

    pub(super) fn open_requests(&self) -> Vec<RequestId> {
        self.open.keys().copied().collect()
    }
}
