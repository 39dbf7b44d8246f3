//! One request on eight meters: reserve and settle, alone and with two threads contended on one budget.
//!
//! `meters` is the accounting by itself; `ledger` is the whole, with its two writes to the journal a request. What the
//! journal adds is the difference of their `alone_cpu`, which is the processor's time of the whole process, and so has the
//! thread that syncs in it.
#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot be set up has nothing to measure"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use tollgate_domain::access::{Endpoint, Need};
use tollgate_domain::accounting::{Ending, HoldFacts, LedgerState, Outcome};
use tollgate_domain::ids::{RequestId, VirtualKeyId};
use tollgate_domain::limits::{
    Holder, HolderKind, Meter, MeterId, MeterKind, ResetDuration, WindowSpec,
};
use tollgate_domain::{Timestamp, TokenUsage, Usd};
use tollgate_ledger::{Ledger, LedgerConfig, MetersAlone};
use uuid::Uuid;

const THREADS: u64 = 2;

fn meter(line: u64, kind: MeterKind) -> Arc<Meter> {
    // Random like the ids of real lines.
    let mixed = u128::from(line).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    Arc::new(Meter {
        id: MeterId {
            line: Uuid::from_u128(mixed),
            kind,
        },
        holder: Arc::new(Holder {
            kind: HolderKind::AccessProfile,
            id: "copy".into(),
            name: "copy".into(),
        }),
        line_id: "bud".into(),
        scope: "total".into(),
        limit: i64::MAX / 2,
        boost: None,
        window: (kind != MeterKind::Parallel).then(|| WindowSpec {
            duration: ResetDuration::Month,
            anchor: Timestamp::from_micros(0),
            zone: "Europe/Berlin".parse().ok(),
            quarter_start_month: 1,
        }),
    })
}

/// Seven meters of the thread's own, and one budget that all share.
fn needs(thread: u64) -> Vec<Need> {
    let own = [
        MeterKind::Requests,
        MeterKind::Tokens,
        MeterKind::Parallel,
        MeterKind::Requests,
        MeterKind::Tokens,
        MeterKind::Money,
        MeterKind::Money,
    ];
    let mut meters: Vec<_> = own
        .into_iter()
        .zip(thread * 100..)
        .map(|(kind, line)| meter(line + 1, kind))
        .collect();
    meters.push(meter(0, MeterKind::Money));
    let need = |meter: Arc<Meter>| Need {
        meter,
        amount: 1,
        is_enforced: true,
    };
    meters.into_iter().map(need).collect()
}

fn now() -> Timestamp {
    Timestamp::from_micros(1_794_400_000_000_000)
}

fn facts(number: u64) -> HoldFacts {
    HoldFacts {
        request: RequestId::from_uuid(Uuid::from_u128(u128::from(number))),
        at: now(),
        key: VirtualKeyId::from_uuid(Uuid::from_u128(1)),
        user: None,
        copy: None,
        profile: None,
        profile_version: Some(1),
        provider: "openai".parse().expect("a provider name"),
        model: "gpt-5-mini".to_owned(),
        endpoint: Endpoint::ChatCompletions,
        is_stream: false,
        is_bound: false,
        reserved_cost: Usd::from_nanos(1),
        reserved_tokens: 1,
        shadow: None,
    }
}

fn ending() -> Ending {
    Ending {
        at: now(),
        outcome: Outcome::Reported,
        status: 200,
        error_code: None,
        usage: TokenUsage {
            input: 1,
            ..TokenUsage::default()
        },
        cost: Usd::from_nanos(1),
        duration_micros: 1,
        first_byte_micros: None,
        attempts: 1,
    }
}

/// Runs `pass` so often on each of two threads, as one measurement.
fn contended<M: criterion::measurement::Measurement<Value = Duration>>(
    group: &mut BenchmarkGroup<'_, M>,
    pass: impl Fn(&[Need], u64) + Sync,
) {
    group.throughput(Throughput::Elements(1));
    group.bench_function("alone", |bencher| {
        let needs = needs(1);
        bencher.iter(|| pass(black_box(&needs), 0));
    });
    group.bench_function("alone_cpu", |bencher| {
        let needs = needs(1);
        bencher.iter_custom(|rounds| {
            let start = processor_time();
            for round in 0..rounds {
                pass(black_box(&needs), round);
            }
            processor_time().saturating_sub(start)
        });
    });
    group.throughput(Throughput::Elements(THREADS));
    group.bench_function("two_threads_one_budget", |bencher| {
        bencher.iter_custom(|rounds| {
            let start = tokio_free_instant();
            std::thread::scope(|scope| {
                for thread in 1..=THREADS {
                    let pass = &pass;
                    scope.spawn(move || {
                        let needs = needs(thread);
                        for round in 0..rounds {
                            pass(black_box(&needs), thread << 40 | round);
                        }
                    });
                }
            });
            start.elapsed()
        });
    });
}

/// How long processors have worked for this process.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("a time since the start")
}

#[expect(
    clippy::disallowed_types,
    reason = "a benchmark measures the host's time"
)]
fn tokio_free_instant() -> std::time::Instant {
    std::time::Instant::now()
}

fn meters(criterion: &mut Criterion) {
    let meters = MetersAlone::default();
    let mut group = criterion.benchmark_group("meters");
    contended(&mut group, |needs, _| {
        assert!(meters.pass(needs, now()));
    });
    group.finish();
}

fn ledger(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let config = LedgerConfig::new(dir.path(), Uuid::from_u128(7));
    let ledger = Ledger::open(config, LedgerState::default(), now()).expect("a ledger");
    let mut group = criterion.benchmark_group("ledger");
    contended(&mut group, |needs, number| {
        let hold = ledger
            .reserve(facts(number), needs, now())
            .expect("there is room");
        ledger.settle(hold, ending());
    });
    group.finish();
}

/// Requests whose two records each a start has to read.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a benchmark may run is for whoever starts it to say"
)]
fn requests_before_a_start() -> u64 {
    std::env::var("TOLLGATE_BENCH_REQUESTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(100_000)
}

/// The most memory that this process had since it was last asked, in MiB; `None` where the system does not tell.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    Some(kibibytes / 1_024)
}

/// How long a start takes that has records to read, and how much memory.
#[expect(clippy::print_stdout, reason = "criterion knows no memory")]
fn start(criterion: &mut Criterion) {
    let requests = requests_before_a_start();
    let dir = tempfile::tempdir().expect("a temporary directory");
    let open = || {
        let config = LedgerConfig::new(dir.path(), Uuid::from_u128(7));
        Ledger::open(config, LedgerState::default(), now()).expect("a ledger")
    };
    let ledger = open();
    let needs = needs(1);
    for number in 0..requests {
        let hold = ledger
            .reserve(facts(number), &needs, now())
            .expect("there is room");
        ledger.settle(hold, ending());
    }
    drop(ledger);
    let _of_the_writing = peak_memory();
    let mut group = criterion.benchmark_group("start");
    group
        .sample_size(10)
        .throughput(Throughput::Elements(requests * 2))
        .bench_function("records", |bencher| bencher.iter(open));
    group.finish();
    if let Some(peak) = peak_memory() {
        println!(
            "start: at most {peak} MiB of memory for {} records",
            requests * 2
        );
    }
}

criterion_group!(benches, meters, ledger, start);
criterion_main!(benches);
