//! The ledger against a naive model, step by step: any sequence of reservations, ends, edits, corrections, clock jumps,
//! folds that come to their end or not, disks that fail, deaths, and journals that lost their end.

mod naive;
mod step;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tollgate_domain::accounting::{LedgerState, LogEntry, Outcome};
use tollgate_domain::limits::{
    Boost, Meter, MeterKind, ResetDuration, Window, WindowKey, WindowSpec,
};
use tollgate_domain::live::{AdjustError, LiveCounters as _};
use tollgate_domain::{Timestamp, Usd};

use self::naive::{Cell, Model, ModelHold};
use self::step::{Step, step};
use self::trouble::History;
use super::kit::*;
use crate::fs::memory::MemoryFileSystem;
use crate::{Hold, Ledger, LedgerConfig, ReserveError};

const LINES: usize = 5;

/// Kinds of the lines: two budgets, tokens, requests, parallel requests.
fn first_lines() -> Vec<Meter> {
    vec![
        meter(1, MeterKind::Money, 150),
        meter(2, MeterKind::Money, 90),
        meter(3, MeterKind::Tokens, 120),
        meter(4, MeterKind::Requests, 6),
        meter(5, MeterKind::Parallel, 3),
    ]
}

/// Ledger and model side by side.
struct Run {
    disk: MemoryFileSystem,
    ledger: Option<Ledger>,
    database: Database,
    lines: Vec<Arc<Meter>>,
    /// How many times usage was set back to zero.
    resets: u128,
    holds: Vec<Hold>,
    model: Model,
    /// Every window that a cell was ever named for.
    windows: BTreeMap<Cell, Window>,
    history: History,
    next: usize,
}

fn small_segments() -> LedgerConfig {
    LedgerConfig {
        segment_bytes: 3_000,
        ..config()
    }
}

impl Run {
    fn new() -> Self {
        let disk = MemoryFileSystem::default();
        Self {
            ledger: Some(open_with(&disk, &small_segments(), LedgerState::default()).unwrap()),
            disk,
            database: Database::default(),
            lines: first_lines().into_iter().map(Arc::new).collect(),
            resets: 0,
            holds: Vec::new(),
            model: Model {
                now: noon(),
                last: noon(),
                ..Model::default()
            },
            windows: BTreeMap::new(),
            history: History::default(),
            next: 1,
        }
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    fn cell(&self, line: usize, at: Timestamp) -> Cell {
        let spec = self.lines[line].window.as_ref();
        (line, spec.map_or(WindowKey(0), |spec| spec.window(at).key))
    }

    fn wanted(&mut self, lines: &[bool], amount: i64, at: Timestamp) -> Vec<(Cell, i64)> {
        for line in 0..LINES {
            if let Some(spec) = &self.lines[line].window {
                self.windows.insert(self.cell(line, at), spec.window(at));
            }
        }
        let chosen = (0..LINES).filter(|line| lines[*line]);
        chosen
            .map(|line| {
                let is_count = matches!(
                    self.lines[line].id.kind,
                    MeterKind::Requests | MeterKind::Parallel
                );
                (self.cell(line, at), if is_count { 1 } else { amount })
            })
            .collect()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Reserve {
                lines,
                amount,
                is_shadow,
            } => self.reserve(&lines, amount, is_shadow),
            Step::Exchange {
                hold,
                lines,
                amount,
                is_dispatched,
            } => {
                self.exchange(hold, &lines, amount, is_dispatched);
            }
            Step::Settle {
                hold,
                cost,
                outcome,
            } => self.settle(hold, cost, outcome, true),
            Step::Release { hold } => {
                if let Some(hold) = self.pick(hold) {
                    let at = self.model.tick();
                    self.model.holds.remove(hold);
                    let hold = self.holds.remove(hold);
                    self.ledger().release(hold, at);
                }
            }
            Step::Clock { seconds } => {
                self.model.now = self.model.now.saturating_add_micros(seconds * 1_000_000);
            }
            Step::Limit { line, limit } => self.edit(line, |meter| meter.limit = limit),
            Step::Boost {
                line,
                amount,
                seconds,
            } => {
                let until = Some(self.model.now.saturating_add_micros(seconds * 1_000_000));
                self.edit(line, |meter| meter.boost = Some(Boost { amount, until }));
            }
            Step::Align { line, zone } => self.align(line, zone),
            Step::Adjust { line, delta } => {
                let at = self.model.tick();
                let meter = self.lines[line].clone();
                let cell = self.cell(line, at);
                let corrected = self.ledger().adjust(&meter, delta, note(1), self.model.now);
                let sum = self.model.used(cell) + delta;
                let is_below_zero = meter.window.is_some() && sum < 0 && delta < 0;
                assert_eq!(corrected.is_err(), is_below_zero, "{corrected:?}");
                if let Ok(count) = corrected {
                    if meter.window.is_some() {
                        self.model.charge(cell, delta);
                    }
                    assert_eq!(count.used, self.model.used(cell));
                }
            }
            Step::Reset { line } => {
                let at = self.model.tick();
                self.resets += 1;
                let reset = reset(self.resets, &[self.lines[line].id]);
                self.ledger().reset(&[reset], self.model.now).unwrap();
                self.model.settled.insert(self.cell(line, at), 0);
            }
            Step::Resolve { number, amount } => self.resolve(number, amount),
            Step::Fold { limit } => self.fold(limit),
            Step::HalfFold { limit, is_taken } => self.half_fold(limit, is_taken),
            Step::ShortWrite {
                lines,
                amount,
                bytes,
            } => self.reserve_on_a_failing_disk(&lines, amount, bytes),
            Step::LateEnd { hold, cost } => self.settle_on_a_failing_disk(hold, cost),
            Step::Die { loses_an_end } => self.die(loses_an_end),
            Step::Cut { back, torn } => self.cut(back, torn),
        }
    }

    fn pick(&self, hold: usize) -> Option<usize> {
        hold.checked_rem(self.holds.len())
    }

    fn needs(&self, wanted: &[(Cell, i64)]) -> Vec<tollgate_domain::access::Need> {
        let need_of = |(cell, amount): &(Cell, i64)| need(&self.lines[cell.0], *amount);
        wanted.iter().map(need_of).collect()
    }

    /// In shadow mode limits only look on.
    fn reserve(&mut self, lines: &[bool], amount: i64, is_shadow: bool) {
        let at = self.model.tick();
        let wanted = self.wanted(lines, amount, at);
        let is_full = !self.model.fits(&self.lines, &wanted, at);
        let result = self.try_reserve(&wanted, amount, !is_shadow);
        if let Ok(hold) = &result {
            assert_eq!(hold.shadowed().is_some(), is_full);
        }
        self.reserved(result, is_shadow || !is_full, wanted, amount);
    }

    fn try_reserve(
        &mut self,
        wanted: &[(Cell, i64)],
        amount: i64,
        is_enforced: bool,
    ) -> Result<Hold, ReserveError> {
        let number = self.next;
        self.next += 1;
        let mut needs = self.needs(wanted);
        for need in &mut needs {
            need.is_enforced = is_enforced;
        }
        let facts = facts(number as u128, amount);
        self.ledger().reserve(facts, &needs, self.model.now)
    }

    fn reserved(
        &mut self,
        result: Result<Hold, ReserveError>,
        fits: bool,
        wanted: Vec<(Cell, i64)>,
        amount: i64,
    ) {
        assert!(!matches!(result, Err(ReserveError::Unavailable(_))));
        assert_eq!(result.is_ok(), fits, "{result:?}");
        if let Ok(hold) = result {
            self.holds.push(hold);
            self.model.holds.push(ModelHold {
                number: self.next - 1,
                parts: wanted,
                bound: amount,
                is_dispatched: false,
            });
        }
    }

    /// A request that was refused costs nothing, and is a row of the log.
    fn refuse(&mut self) {
        let number = self.next;
        self.next += 1;
        let entry = LogEntry {
            facts: facts(number as u128, 0),
            ending: ended(Outcome::Refused, self.model.now),
        };
        self.model.tick();
        self.ledger().refuse(entry).unwrap();
    }

    fn exchange(&mut self, hold: usize, lines: &[bool], amount: i64, is_dispatched: bool) {
        let Some(index) = self.pick(hold) else { return };
        let at = self.model.tick();
        if is_dispatched {
            self.holds[index].mark_dispatched();
            self.model.holds[index].is_dispatched = true;
        }
        let wanted = self.wanted(lines, amount, at);
        let old = self.model.holds[index].clone();
        let is_count = |line: usize| {
            matches!(
                self.lines[line].id.kind,
                MeterKind::Requests | MeterKind::Parallel
            )
        };
        let carried =
            |line: usize| is_count(line) && old.parts.iter().any(|(cell, _)| cell.0 == line);
        let (kept, fresh): (Vec<_>, Vec<_>) = wanted
            .iter()
            .copied()
            .partition(|(cell, _)| carried(cell.0));
        let staying: Vec<_> = old
            .parts
            .iter()
            .copied()
            .filter(|(cell, _)| kept.iter().any(|(new, _)| new.0 == cell.0))
            .collect();
        self.model.holds[index].parts.clone_from(&staying);
        let fits = self.model.fits(&self.lines, &fresh, at);
        let needs = self.needs(&wanted);
        let number = old.number as u128;
        let mut real = self.holds.remove(index);
        let result =
            self.ledger()
                .exchange(&mut real, facts(number, amount), &needs, self.model.now);
        self.holds.insert(index, real);
        assert_eq!(result.is_ok(), fits, "{result:?}");
        if !fits {
            self.model.holds[index].parts = old.parts;
            return;
        }
        for (cell, amount) in old.parts.iter().filter(|part| !staying.contains(part)) {
            if old.is_dispatched && self.lines[cell.0].id.kind == MeterKind::Requests {
                self.model.charge(*cell, *amount);
            }
        }
        self.model.holds[index].parts.extend(fresh);
        self.model.holds[index].bound = amount;
    }

    fn settle(&mut self, hold: usize, cost: i64, outcome: Outcome, is_written: bool) {
        let Some(index) = self.pick(hold) else { return };
        self.model.tick();
        let (real, model) = (self.holds.remove(index), self.model.holds.remove(index));
        let is_answer = matches!(outcome, Outcome::Reported | Outcome::Counted);
        let mut ending = if is_answer {
            answered(cost, self.model.now)
        } else {
            ended(outcome, self.model.now)
        };
        ending.outcome = outcome;
        let tokens = i64::try_from(ending.usage.total()).unwrap();
        let settled = self.ledger().settle(real, ending);
        assert_eq!(settled.written.is_done(), is_written);
        let mut charged = Vec::new();
        for (cell, held) in &model.parts {
            let amount = match (self.lines[cell.0].id.kind, outcome) {
                (MeterKind::Parallel, _) => continue,
                (MeterKind::Requests, _) | (_, Outcome::InDoubt) => *held,
                (MeterKind::Money, _) if is_answer => cost,
                (MeterKind::Tokens, _) if is_answer => tokens,
                _ => 0,
            };
            self.model.charge(*cell, amount);
            if self.lines[cell.0].id.kind == MeterKind::Money && amount != 0 {
                charged.push((cell.0, self.windows[cell], amount));
            }
        }
        let expected = match outcome {
            Outcome::InDoubt => model.bound,
            Outcome::Failed => 0,
            _ => cost,
        };
        assert_eq!(settled.cost.nanos(), expected);
        self.model.logged += expected;
        if outcome == Outcome::InDoubt {
            self.model.in_doubt.insert(model.number, charged);
        }
    }

    fn resolve(&mut self, number: usize, amount: i64) {
        let at = self.model.tick();
        let name = request(number as u128);
        let result = self
            .ledger()
            .resolve_in_doubt(name, Usd::from_nanos(amount), note(2), at);
        let Some(charged) = self.model.in_doubt.remove(&number) else {
            assert_eq!(result, Err(AdjustError::NotInDoubt));
            return;
        };
        let is_below_zero = charged.iter().any(|(line, window, was)| {
            window.contains(at)
                && amount < *was
                && self.model.used(self.cell(*line, at)) + amount < *was
        });
        if is_below_zero {
            assert!(matches!(result, Err(AdjustError::BelowZero { .. })));
            self.model.in_doubt.insert(number, charged);
            self.ledger().carry_over(&self.lines, at);
            return;
        }
        result.unwrap();
        for (line, window, was) in charged {
            // A window that runs and was left by an edit is corrected where its usage went.
            let cell = if window.contains(at) {
                self.cell(line, at)
            } else {
                (line, window.key)
            };
            self.model.charge(cell, amount - was);
        }
        self.ledger().carry_over(&self.lines, at);
    }

    fn edit(&mut self, line: usize, change: impl FnOnce(&mut Meter)) {
        change(Arc::make_mut(&mut self.lines[line]));
    }

    fn align(&mut self, line: usize, zone: Option<&str>) {
        if self.lines[line].window.is_none() {
            return;
        }
        let at = self.model.tick();
        let from = self.cell(line, at);
        self.edit(line, |meter| {
            meter.window = Some(WindowSpec {
                duration: ResetDuration::Day,
                anchor: "2026-01-01T07:00:00Z".parse().unwrap(),
                zone: zone.map(|name| name.parse().unwrap()),
                quarter_start_month: 1,
            });
        });
        let to = self.cell(line, at);
        if let Some(spec) = &self.lines[line].window {
            self.windows.insert(to, spec.window(at));
        }
        let lines = std::slice::from_ref(&self.lines[line]);
        self.ledger().carry_over(lines, self.model.now);
        self.model.relocate(from, to);
        // The policy does not live in the journal: neither a cut nor a clock that stepped back takes the edit back.
        self.refuse();
        self.history.forget();
    }

    /// Every number that anybody can see is the model's.
    fn check(&mut self) {
        let at = self.model.last;
        for line in 0..LINES {
            let cell = self.cell(line, at);
            let count = self.ledger().count(&self.lines[line], at);
            assert_eq!(
                (count.used, count.reserved),
                (self.model.used(cell), self.model.reserved(cell)),
                "line {line}"
            );
        }
        let stats = self.ledger().stats();
        assert_eq!(stats.open, self.holds.len() as u64);
        assert_eq!(stats.unresolved, self.model.in_doubt.len() as u64);
    }

    /// Once everything is folded, the database agrees window by window, and the log with it.
    fn check_database(&mut self) {
        self.take(Step::Fold { limit: 5 });
        let mut counters: BTreeMap<Cell, i64> = BTreeMap::new();
        for (key, counter) in &self.database.counters {
            let line = usize::try_from(key.line.as_u128()).unwrap() - 1;
            counters.insert((line, key.window), counter.amount);
        }
        counters.retain(|_, amount| *amount != 0);
        self.model.settled.retain(|_, amount| *amount != 0);
        assert_eq!(counters, self.model.settled);
        assert_eq!(self.database.open_requests().len(), self.holds.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut run = Run::new();
        for step in steps {
            run.take(step);
            run.remember();
            run.check();
        }
        run.check_database();
        run.take(Step::Die { loses_an_end: false });
        run.check();
        run.check_database();
    }
}
