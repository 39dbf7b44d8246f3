//! What records add up to when they come in another order than what they tell of.

use tollgate_domain::accounting::CounterAmount;
use tollgate_domain::limits::{MeterKind, ResetDuration, WindowSpec};

use super::kit::*;
use crate::books::{Books, Changes};
use crate::journal::Record;
use crate::meters::Move;

/// A reservation can be made before an edit and written after it, or after two: whoever reads the journal finds the hold
/// where its usage is.
#[test]
fn a_hold_that_is_written_after_two_edits_is_where_they_led() {
    let id = meter(1, MeterKind::Money, 100).id;
    let windows = ["Asia/Kathmandu", "Asia/Kolkata", "Europe/Berlin"].map(|zone| {
        let spec = WindowSpec {
            duration: ResetDuration::Day,
            anchor: noon(),
            zone: Some(zone.parse().unwrap()),
            quarter_start_month: 1,
        };
        spec.window(noon())
    });
    let amount = |window| CounterAmount::new(id.line, id.kind, ResetDuration::Day, window, 30);
    let step = |from: usize, to: usize| Record::Move {
        at: noon(),
        moved: Move {
            from: amount(windows[from]),
            to: windows[to],
        },
    };
    // There and further, and there and back and further.
    for (steps, end) in [(vec![(0, 1), (1, 2)], 2), (vec![(0, 1), (1, 0), (0, 2)], 2)] {
        for folds_between in [false, true] {
            let mut books = Books::new(Vec::new());
            let mut changes = Changes::default();
            for (from, to) in &steps {
                books.apply(&mut changes, step(*from, *to));
                if folds_between {
                    books.commit(std::mem::take(&mut changes));
                }
            }
            let open = Record::Open {
                facts: facts(1, 30),
                holds: vec![amount(windows[0])],
            };
            books.apply(&mut changes, open);
            books.commit(changes);
            let holds = &books.open[&request(1)].holds;
            assert_eq!(*holds, [amount(windows[end])], "{steps:?}");
        }
    }
}
