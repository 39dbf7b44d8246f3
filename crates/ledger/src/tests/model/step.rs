//! What can happen.

use proptest::prelude::*;
use tollgate_domain::accounting::Outcome;

use super::LINES;
use super::trouble::TORN_BYTES;

#[derive(Debug, Clone)]
pub(super) enum Step {
    Reserve {
        lines: Vec<bool>,
        amount: i64,
        is_shadow: bool,
    },
    Exchange {
        hold: usize,
        lines: Vec<bool>,
        amount: i64,
        is_dispatched: bool,
    },
    Settle {
        hold: usize,
        cost: i64,
        outcome: Outcome,
    },
    Release {
        hold: usize,
    },
    Clock {
        seconds: i64,
    },
    Limit {
        line: usize,
        limit: i64,
    },
    Boost {
        line: usize,
        amount: i64,
        seconds: i64,
    },
    /// Windows of the calendar of this zone, or of the lattice.
    Align {
        line: usize,
        zone: Option<&'static str>,
    },
    Adjust {
        line: usize,
        delta: i64,
    },
    Reset {
        line: usize,
    },
    Resolve {
        number: usize,
        amount: i64,
    },
    Fold {
        limit: usize,
    },
    /// One piece is read, and taken or not; nobody says which.
    HalfFold {
        limit: usize,
        is_taken: bool,
    },
    /// A reservation whose record stops after so many bytes.
    ShortWrite {
        lines: Vec<bool>,
        amount: i64,
        bytes: usize,
    },
    /// An end that the disk does not take at first.
    LateEnd {
        hold: usize,
        cost: i64,
    },
    Die {
        loses_an_end: bool,
    },
    /// A death that takes the journal back by so many steps, and leaves so many bytes of the next record.
    Cut {
        back: usize,
        torn: usize,
    },
}

/// Days of the first two begin a quarter of an hour apart and most often have the same date; a day of the third is over
/// before the one of the last with its date begins.
const ZONES: &[&str] = &[
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
];

pub(super) fn step() -> impl Strategy<Value = Step> {
    let lines = || prop::collection::vec(any::<bool>(), LINES);
    let outcome = prop_oneof![
        4 => Just(Outcome::Reported),
        1 => Just(Outcome::Counted),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::InDoubt),
    ];
    prop_oneof![
        8 => (lines(), 0_i64..40, prop::bool::weighted(0.1))
            .prop_map(|(lines, amount, is_shadow)| Step::Reserve { lines, amount, is_shadow }),
        2 => (0..8_usize, lines(), 0_i64..40, any::<bool>()).prop_map(
            |(hold, lines, amount, is_dispatched)| Step::Exchange { hold, lines, amount, is_dispatched }
        ),
        6 => (0..8_usize, 0_i64..60, outcome)
            .prop_map(|(hold, cost, outcome)| Step::Settle { hold, cost, outcome }),
        2 => (0..8_usize).prop_map(|hold| Step::Release { hold }),
        3 => (-90_000_i64..90_000).prop_map(|seconds| Step::Clock { seconds }),
        1 => (0..LINES, 0_i64..200).prop_map(|(line, limit)| Step::Limit { line, limit }),
        1 => (0..LINES, 0_i64..100, 0_i64..90_000)
            .prop_map(|(line, amount, seconds)| Step::Boost { line, amount, seconds }),
        1 => (0..LINES, prop::option::weighted(0.7, prop::sample::select(ZONES)))
            .prop_map(|(line, zone)| Step::Align { line, zone }),
        1 => (0..LINES, -50_i64..50).prop_map(|(line, delta)| Step::Adjust { line, delta }),
        1 => (0..LINES).prop_map(|line| Step::Reset { line }),
        1 => (0..40_usize, 0_i64..50).prop_map(|(number, amount)| Step::Resolve { number, amount }),
        1 => (1..9_usize).prop_map(|limit| Step::Fold { limit }),
        1 => (1..9_usize, any::<bool>())
            .prop_map(|(limit, is_taken)| Step::HalfFold { limit, is_taken }),
        1 => (lines(), 0_i64..40, 0..60_usize)
            .prop_map(|(lines, amount, bytes)| Step::ShortWrite { lines, amount, bytes }),
        1 => (0..8_usize, 0_i64..60).prop_map(|(hold, cost)| Step::LateEnd { hold, cost }),
        1 => any::<bool>().prop_map(|loses_an_end| Step::Die { loses_an_end }),
        1 => (0..20_usize, 0..=TORN_BYTES).prop_map(|(back, torn)| Step::Cut { back, torn }),
    ]
}
