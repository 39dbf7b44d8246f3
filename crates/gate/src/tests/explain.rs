use tollgate_domain::access::profile::Reservation;
use tollgate_domain::access::{Copy, Decision, Endpoint, Explain as _, Question, Subject};
use tollgate_domain::ids::{UserId, VirtualKeyId};
use tollgate_domain::limits::MeterKind;
use tollgate_domain::{Clock as _, Timestamp};
use tollgate_testkit::entities::{meter, user};
use uuid::Uuid;

use super::kit::*;

fn question(test: &TestGate, output: u64) -> Question<'static> {
    Question {
        subject: Subject::Key(test.caller().key),
        provider: None,
        model: "mock/small",
        endpoint: Endpoint::ChatCompletions,
        input_tokens: Some(1_000_000),
        max_output_tokens: Some(output),
        at: None,
    }
}

/// What the data plane does, in the words of a decision.
fn reality(test: &TestGate, output: u64) -> Option<(&'static str, String)> {
    let result = test.admit(&request("mock/small", output));
    result.err().map(|error| (error.kind.code(), error.message))
}

fn said(decision: &Decision) -> Option<(&'static str, String)> {
    let reason = decision.reason.as_ref();
    reason.map(|reason| (reason.code, reason.message.clone()))
}

#[test]
fn the_decision_is_the_one_that_the_data_plane_takes() {
    for reservation in [Reservation::Estimate, Reservation::Bound] {
        let line = budget("total", 4);
        let mut copy = limited(
            "starter",
            [line.clone(), meter("rate", MeterKind::Requests, 3)],
        );
        copy.settings.reservation = reservation;
        let test = TestGate::new(world(copy));
        let mut running = Vec::new();
        // Through allowed, transient, spent and rate-limited.
        for step in 0..12 {
            let output = if step % 2 == 0 { 1_000 } else { 4_000 };
            let decision = test.gate.explain(&question(&test, output)).unwrap();
            assert_eq!(decision.allowed, said(&decision).is_none());
            assert_eq!(said(&decision), reality(&test, output), "step {step}");
            let total = decision
                .meters
                .iter()
                .find(|one| one.reading.id == "total")
                .unwrap();
            let (used, reserved) = test.count(&line);
            assert_eq!(
                (total.reading.used, total.reading.reserved),
                (used, reserved)
            );
            match test.admit(&request("mock/small", output)) {
                Ok(mut admission) => {
                    admission.mark_dispatched();
                    running.push(admission);
                }
                Err(_) => {
                    if let Some(admission) = running.pop() {
                        admission.settle(reported(1_300_000, 10));
                    }
                }
            }
        }
    }
}

#[test]
fn it_shows_payer_key_estimate_and_everything_considered() {
    let mut snapshot = world(limited("first", [budget("first", 1)]));
    let second = Copy {
        priority: 1,
        ..limited("second", [budget("second", 9)])
    };
    let elsewhere = Copy {
        priority: 2,
        grants: vec![grant_of("elsewhere")],
        ..limited("third", [])
    };
    let mut ada = user("ada");
    ada.copies = [limited("first", [budget("first", 1)]), second, elsewhere]
        .map(std::sync::Arc::new)
        .to_vec();
    snapshot.put_user(ada);
    let test = TestGate::new(snapshot);
    let decision = test.gate.explain(&question(&test, 4_000)).unwrap();
    assert!(decision.allowed);
    assert_eq!(decision.payer.unwrap().name, "second");
    assert_eq!(decision.provider.as_deref(), Some("mock"));
    assert_eq!(decision.key_candidates.len(), 1);
    assert_eq!(decision.estimate.unwrap().cost.nanos(), 1_008_000_000);
    let considered: Vec<_> = decision
        .considered
        .iter()
        .map(|one| {
            let code = one.reason.as_ref().map_or("", |reason| reason.code);
            (one.payer.name.as_str(), one.applies, code)
        })
        .collect();
    assert_eq!(
        considered,
        [
            ("first", false, "budget_exceeded"),
            ("second", true, ""),
            ("third", false, "provider_blocked"),
        ]
    );
}

#[test]
fn another_instant_sees_its_own_window() {
    let line = budget("total", 1);
    let test = TestGate::new(world(limited("starter", [line])));
    let mut asked = question(&test, 0);
    asked.input_tokens = Some(900_000);
    let mut small = request("mock/small", 0);
    small.input_tokens = Some(900_000);
    let mut admission = test.admit(&small).unwrap();
    admission.mark_dispatched();
    admission.settle(reported(900_000, 0));
    assert!(!test.gate.explain(&asked).unwrap().allowed);
    let next_month: Timestamp = "2026-12-11T00:00:00Z".parse().unwrap();
    asked.at = Some(next_month);
    let later = test.gate.explain(&asked).unwrap();
    assert!(later.allowed);
    assert_eq!(later.at, next_month);
    assert_eq!(later.meters[0].reading.used, 0);
    asked.at = None;
    assert_eq!(test.gate.explain(&asked).unwrap().at, test.clock.now());
}

#[test]
fn a_user_can_be_asked_about_without_a_key() {
    let test = TestGate::new(world(limited("starter", [])));
    let asked = Question {
        subject: Subject::User(user("ada").id),
        provider: Some("mock"),
        model: "small",
        ..question(&test, 10)
    };
    assert!(test.gate.explain(&asked).unwrap().allowed);
    for subject in [
        Subject::User(UserId::from_uuid(Uuid::nil())),
        Subject::Key(VirtualKeyId::from_uuid(Uuid::nil())),
    ] {
        assert!(test.gate.explain(&Question { subject, ..asked }).is_err());
    }
}
