//! A replay of what happened against what was in force says what happened.

use std::time::Duration;

use proptest::prelude::*;
use tollgate_domain::access::{self, Simulation, Simulator};
use tollgate_domain::accounting::Outcome;
use tollgate_domain::limits::MeterKind;
use tollgate_testkit::entities::meter;

use super::kit::*;
use crate::{Admission, Answer};

#[derive(Debug, Clone, Copy)]
enum Step {
    Start {
        output: u64,
    },
    End {
        which: usize,
        outcome: Outcome,
        input: u64,
        output: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        3 => Just(Outcome::Reported),
        1 => Just(Outcome::Counted),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::InDoubt),
    ];
    prop_oneof![
        (0..2_000_000_u64).prop_map(|output| Step::Start { output }),
        // Also more than was held: estimates are no bounds.
        (0..8_usize, outcome, 0..2_000_000_u64, 0..3_000_000_u64).prop_map(
            |(which, outcome, input, output)| Step::End {
                which,
                outcome,
                input,
                output
            }
        ),
    ]
}

fn profile(dollars: i64, tokens: i64, requests: i64, parallel: i64) -> access::Copy {
    limited(
        "starter",
        [
            meter("money", MeterKind::Money, usd(dollars)),
            meter("tokens", MeterKind::Tokens, tokens),
            meter("requests", MeterKind::Requests, requests),
            meter("parallel", MeterKind::Parallel, parallel),
        ],
    )
}

fn take(test: &TestGate, step: Step, running: &mut Vec<Admission>) {
    // Of two things at the same instant nobody could say which was first.
    test.clock.advance(Duration::from_secs(1));
    match step {
        Step::Start { output } => {
            if let Ok(mut admission) = test.admit(&request("mock/small", output)) {
                admission.mark_dispatched();
                running.push(admission);
            }
        }
        Step::End {
            which,
            outcome,
            input,
            output,
        } => {
            if running.is_empty() {
                return;
            }
            let admission = running.remove(which % running.len());
            admission.settle(Answer {
                outcome,
                ..reported(input, output)
            });
        }
    }
}

fn replay(test: &TestGate, copy: &access::Copy) -> Simulation {
    let mut log = test.log();
    log.sort_by_key(|entry| (entry.facts.at, entry.facts.request));
    let mut simulator = Simulator::new(test.gate.snapshot());
    simulator.put(copy.clone());
    for entry in &log {
        simulator.replay(copy.id, entry);
    }
    simulator.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_in_force_refuses_what_it_refused_and_nothing_else(
        steps in prop::collection::vec(step(), 1..60),
        dollars in 3..30_i64,
        tokens in 3_000_000..30_000_000_i64,
        requests in 1..20_i64,
        parallel in 1..5_i64,
    ) {
        let copy = profile(dollars, tokens, requests, parallel);
        let test = TestGate::new(world(copy.clone()));
        let mut running = Vec::new();
        for step in steps {
            take(&test, step, &mut running);
        }
        test.clock.advance(Duration::from_secs(1));
        drop(running);
        let simulation = replay(&test, &copy);
        prop_assert_eq!(&simulation.refusals, &[]);
        for holder in simulation.holders.values() {
            prop_assert_eq!((holder.newly_refused, holder.newly_allowed), (0, 0));
            prop_assert_eq!(holder.actual_cost, holder.draft_cost);
        }
    }
}

#[test]
fn stricter_draft_refuses_with_the_codes_of_the_data_plane() {
    let copy = profile(100, 100_000_000, 100, 100);
    let test = TestGate::new(world(copy));
    let mut running = Vec::new();
    for _ in 0..3 {
        take(&test, Step::Start { output: 1_000_000 }, &mut running);
    }
    test.clock.advance(Duration::from_secs(1));
    drop(running);
    for (draft, code) in [
        (profile(2, 100_000_000, 100, 100), "budget_in_flight"),
        (profile(1, 100_000_000, 100, 100), "budget_exceeded"),
        (profile(100, 3_000_000, 100, 100), "token_limited"),
        (profile(100, 100_000_000, 1, 100), "request_limited"),
        (profile(100, 100_000_000, 100, 1), "concurrency_limited"),
        (
            access::Copy {
                grants: vec![grant_of("elsewhere")],
                ..profile(100, 0, 0, 0)
            },
            "provider_blocked",
        ),
    ] {
        let simulation = replay(&test, &draft);
        let codes: Vec<_> = simulation.reasons.keys().copied().collect();
        assert_eq!(codes, [code]);
        assert_eq!(simulation.refusals[0].kind.code(), code);
    }
}
