//! I7: request log = settlements in the journal = money counters over all windows, to the nano-dollar; what `adjust` did
//! to the counters is accounted for by the audit trail. Over random runs with a real ledger that dies at any point, also
//! between journal and fold.

use std::path::Path;
use std::sync::Arc;

use tollgate_domain::access::Need;
use tollgate_domain::accounting::{Ending, Outcome};
use tollgate_domain::ids::{AuditEntryId, RequestId, ResetId};
use tollgate_domain::limits::{
    Holder, HolderKind, Meter, MeterId, MeterKind, ResetDuration, WindowSpec,
};
use tollgate_domain::live::{CorrectionNote, LiveCounters as _, Once, UsageReset};
use tollgate_domain::usage::TokenUsage;
use tollgate_domain::{Timestamp, Usd};
use tollgate_ledger::{Hold, Ledger, LedgerConfig};
use tollgate_storage::audit::{self, AuditFilter, ChainCheck};
use tollgate_storage::request_log::{self, LogFilter, stats};
use tollgate_storage::{PageRequest, Store, resets};

use crate::fixture::journal::facts;
use crate::fixture::{Fixture, at, in_tx, on_both_engines, uuid};

/// Steps of one run.
const STEPS: u32 = 400;
/// No limit is reached.
const AMPLE: i64 = i64::MAX / 2;

/// A sequence that looks random and is always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn amount(&mut self) -> i64 {
        i64::try_from(self.below(5_000_000_000)).unwrap()
    }
}

fn budget(number: u128, duration: ResetDuration) -> Arc<Meter> {
    Arc::new(Meter {
        id: MeterId {
            line: uuid(number),
            kind: MeterKind::Money,
        },
        holder: Arc::new(Holder {
            kind: HolderKind::Team,
            id: "team_1".into(),
            name: "team".into(),
        }),
        line_id: format!("bud_{number}").into(),
        scope: "total".into(),
        limit: AMPLE,
        boost: None,
        window: Some(WindowSpec {
            duration,
            anchor: at(0),
            zone: None,
            quarter_start_month: 1,
        }),
    })
}

/// Every request is charged to each of these.
fn budgets() -> [Arc<Meter>; 3] {
    [
        budget(1, ResetDuration::Hour),
        budget(2, ResetDuration::Day),
        budget(3, ResetDuration::Month),
    ]
}

struct Run<'a> {
    fixture: &'a Fixture,
    dir: &'a Path,
    dice: Dice,
    ledger: Option<Ledger>,
    holds: Vec<Hold>,
    budgets: [Arc<Meter>; 3],
    /// What was charged in doubt, also what has been resolved.
    in_doubt: Vec<RequestId>,
    /// By line: what corrections did to it.
    adjusted: [i64; 3],
    /// The last one that was made by hand: when, on which line, how much, and its note.
    asked: Option<(Timestamp, usize, i64, CorrectionNote)>,
    repeated: u32,
    now: Timestamp,
    next: u128,
}

impl Run<'_> {
    fn store(&self) -> &Store {
        &self.fixture.store
    }

    fn ledger(&self) -> &Ledger {
        self.ledger.as_ref().unwrap()
    }

    /// As at a start.
    async fn open(&mut self) {
        self.open_ledger().await;
        self.reset_pending(None).await;
    }

    async fn open_ledger(&mut self) {
        let state = self.store().ledger_state().await.unwrap();
        let config = LedgerConfig::new(self.dir, uuid(77));
        self.ledger = Some(Ledger::open(config, state, self.now).unwrap());
    }

    /// Folds at most so many pieces.
    async fn fold(&self, pieces: u64) {
        for _ in 0..pieces {
            let from = self.store().ledger_state().await.unwrap().position;
            let Some(batch) = self.ledger().read_batch(from, 7).unwrap() else {
                return;
            };
            self.store().fold(&batch).await.unwrap();
            // Whoever folds may die before the ledger hears of it.
            if pieces.is_multiple_of(2) {
                self.ledger().folded(batch.to);
            }
        }
    }

    fn note(&mut self) -> CorrectionNote {
        self.next += 1;
        CorrectionNote {
            id: AuditEntryId::from_uuid(uuid(self.next)),
            actor: "mk_1".to_owned(),
            reason: "a test".to_owned(),
            profile: None,
            user: None,
            once: Some(Once {
                key: self.next.to_string(),
                fingerprint: [7; 32],
            }),
        }
    }

    fn start(&mut self) {
        self.next += 1;
        let mut facts = facts(self.next);
        facts.at = self.now;
        facts.reserved_cost = Usd::from_nanos(self.dice.amount());
        let need = |meter: &Arc<Meter>| Need {
            meter: meter.clone(),
            amount: facts.reserved_cost.nanos(),
            is_enforced: true,
        };
        let needs: Vec<Need> = self.budgets.iter().map(need).collect();
        let mut hold = self.ledger().reserve(facts, &needs, self.now).unwrap();
        hold.mark_dispatched();
        self.holds.push(hold);
    }

    fn end(&mut self) {
        if self.holds.is_empty() {
            return;
        }
        let which = self.dice.below(self.holds.len() as u64);
        let hold = self.holds.remove(usize::try_from(which).unwrap());
        let outcome = match self.dice.below(6) {
            0 => Outcome::Failed,
            1 => Outcome::InDoubt,
            2 => Outcome::Counted,
            _ => Outcome::Reported,
        };
        if outcome == Outcome::InDoubt {
            self.in_doubt.push(hold.request());
        }
        let ending = Ending {
            at: self.now,
            outcome,
            status: 200,
            error_code: None,
            usage: TokenUsage::default(),
            cost: Usd::from_nanos(self.dice.amount()),
            duration_micros: 1,
            first_byte_micros: None,
            attempts: 1,
        };
        self.ledger().settle(hold, ending);
    }

    fn adjust(&mut self) {
        let which = usize::try_from(self.dice.below(3)).unwrap();
        let delta = self.dice.amount() - 2_500_000_000;
        let (meter, note) = (self.budgets[which].clone(), self.note());
        // A credit of more than was used is refused, and changes nothing.
        let made = self
            .ledger()
            .adjust(&meter, delta, note.clone(), self.now)
            .is_ok();
        if made {
            self.adjusted[which] += delta;
            self.asked = Some((self.now, which, delta, note));
        }
    }

    /// Whoever has not heard of the last correction asks for it again, and changes nothing.
    fn ask_again(&mut self) {
        let Some((at, which, delta, note)) = self.asked.clone() else {
            return;
        };
        if self.now.micros_since(at) <= Once::KEPT_FOR {
            let note = CorrectionNote {
                id: self.note().id,
                ..note
            };
            let meter = self.budgets[which].clone();
            let before = self.ledger().count(&meter, self.now);
            let after = self.ledger().adjust(&meter, delta, note, self.now);
            assert_eq!(after, Ok(before));
            self.repeated += 1;
        }
    }

    /// As a propagation does it: the change is stored first. Now and then the process dies before the ledger is told.
    async fn reset(&mut self) {
        let which = usize::try_from(self.dice.below(3)).unwrap();
        self.next += 1;
        let reset = UsageReset {
            id: ResetId::from_uuid(uuid(self.next)),
            meters: vec![self.budgets[which].id],
        };
        in_tx!(self.store(), tx => resets::add(&mut tx, &reset, self.now).await.unwrap());
        if self.dice.below(2) == 0 {
            self.ledger = None;
            self.holds_are_in_doubt();
            self.open_ledger().await;
        }
        self.reset_pending(Some(which)).await;
    }

    /// Passes on what the database has: only `new` was not done before, however often it is asked for.
    async fn reset_pending(&mut self, new: Option<usize>) {
        let used = |meter: &Arc<Meter>| self.ledger().count(meter, self.now).used;
        let before = self.budgets.each_ref().map(used);
        let pending = resets::list(self.store()).await.unwrap();
        self.ledger().reset(&pending, self.now).unwrap();
        let mut expected = before;
        if let Some(which) = new {
            expected[which] = 0;
        }
        assert_eq!(self.budgets.each_ref().map(used), expected);
        for (adjusted, (before, after)) in self.adjusted.iter_mut().zip(before.iter().zip(expected))
        {
            *adjusted += after - before;
        }
    }

    fn resolve(&mut self) {
        if self.in_doubt.is_empty() {
            return;
        }
        let which = self.dice.below(self.in_doubt.len() as u64);
        let request = self.in_doubt[usize::try_from(which).unwrap()];
        let amount = self.dice.amount();
        let note = self.note();
        let result =
            self.ledger()
                .resolve_in_doubt(request, Usd::from_nanos(amount), note, self.now);
        if result.is_ok() {
            self.in_doubt.retain(|one| *one != request);
        }
    }

    /// The process dies: what is open is charged in doubt.
    async fn die(&mut self) {
        self.ledger = None;
        self.holds_are_in_doubt();
        self.open().await;
    }

    fn holds_are_in_doubt(&mut self) {
        let open = self.holds.drain(..).map(|hold| hold.request());
        self.in_doubt.extend(open);
    }

    async fn step(&mut self) {
        // Minutes, so that hours and days pass, and holds outlive their windows.
        let pause = i64::try_from(self.dice.below(1_800_000_000)).unwrap();
        self.now = self.now.saturating_add_micros(pause);
        match self.dice.below(21) {
            0..=6 => self.start(),
            7..=13 => self.end(),
            14 => self.adjust(),
            15 | 16 => self.resolve(),
            17 => self.reset().await,
            19 => self.ask_again(),
            18 => {
                let pieces = self.dice.below(6);
                self.fold(pieces).await;
            }
            _ => self.die().await,
        }
    }

    async fn number(&self, statement: &'static str) -> i64 {
        self.fixture.read_text(statement).await.parse().unwrap()
    }

    async fn check(&mut self) {
        while !self.holds.is_empty() {
            self.end();
        }
        self.fold(u64::MAX).await;
        let counters = [
            self.number(
                "select cast(sum(amount) as text) from counters where kind = 1 and duration = 2",
            )
            .await,
            self.number(
                "select cast(sum(amount) as text) from counters where kind = 1 and duration = 3",
            )
            .await,
            self.number(
                "select cast(sum(amount) as text) from counters where kind = 1 and duration = 5",
            )
            .await,
        ];
        let logged = self.logged().await;
        for (counter, adjusted) in counters.iter().zip(self.adjusted) {
            assert_eq!(*counter - adjusted, logged);
        }
        let sums = stats::total(self.store(), &LogFilter::default())
            .await
            .unwrap();
        assert_eq!(sums.cost.nanos(), logged, "the hourly sums");
        let trail = self.trail().await;
        let journal = tollgate_ledger::verify(self.dir).unwrap();
        assert_eq!(journal.settled.nanos() + trail, logged, "the journal");
        let windows = self
            .number("select cast(count(*) as text) from counters")
            .await;
        assert!(windows > 20, "few windows: {windows}");
        assert!(matches!(
            audit::verify(self.store()).await.unwrap(),
            ChainCheck::Intact { .. }
        ));
    }

    async fn logged(&self) -> i64 {
        let mut sum = 0;
        let mut offset = 0;
        loop {
            let page = PageRequest { limit: 100, offset };
            let rows = request_log::list(self.store(), &LogFilter::default(), page)
                .await
                .unwrap();
            if rows.is_empty() {
                return sum;
            }
            offset += rows.len() as u64;
            sum += rows
                .iter()
                .map(|row| row.entry.ending.cost.nanos())
                .sum::<i64>();
        }
    }

    /// What resolving did to the log, as the audit trail tells it.
    async fn trail(&self) -> i64 {
        let filter = AuditFilter {
            action: Some("resolve".to_owned()),
            ..AuditFilter::default()
        };
        let page = PageRequest {
            limit: 1_000,
            offset: 0,
        };
        let entries = audit::list(self.store(), &filter, page).await.unwrap();
        assert!(entries.total > 0, "nothing was resolved");
        let amount = |text: &Option<String>| {
            let text = text.as_deref().unwrap();
            let digits = text
                .trim_start_matches("{\"cost_usd\":")
                .trim_end_matches('}');
            digits.parse::<Usd>().unwrap().nanos()
        };
        let difference =
            |entry: &audit::AuditEntry| amount(&entry.new_values) - amount(&entry.previous_values);
        entries.items.iter().map(difference).sum()
    }
}

on_both_engines! {
    async fn log_journal_and_counters_agree_to_the_nano_dollar(fixture: &Fixture) {
        let dir = tempfile::tempdir().unwrap();
        let mut run = Run {
            fixture,
            dir: dir.path(),
            dice: Dice(2_026),
            ledger: None,
            holds: Vec::new(),
            budgets: budgets(),
            in_doubt: Vec::new(),
            adjusted: [0; 3],
            asked: None,
            repeated: 0,
            now: at(0),
            next: 0,
        };
        run.open().await;
        for _ in 0..STEPS {
            run.step().await;
        }
        assert!(run.repeated > 5, "{} repetitions", run.repeated);
        run.check().await;
    }
}
