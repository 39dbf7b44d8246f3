use tollgate_domain::access::profile::{McpGrants, Reservation};
use tollgate_domain::access::{
    AnyModelRequest, Copy, Decision, Endpoint, Explain as _, ModelWish, Question, Subject,
    ToolRequest, Wish,
};
use tollgate_domain::ids::{McpClientId, UserId, VirtualKeyId};
use tollgate_domain::limits::MeterKind;
use tollgate_domain::snapshot::{McpCatalog, McpClient};
use tollgate_domain::{Clock as _, Timestamp, Usd};
use tollgate_testkit::entities::{meter, user};
use uuid::Uuid;

use super::kit::*;

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
            let decision = test
                .gate
                .explain(&question(&test, &request("mock/small", output)))
                .unwrap();
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
    let decision = test
        .gate
        .explain(&question(&test, &request("mock/small", 4_000)))
        .unwrap();
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
    let mut small = request("mock/small", 0);
    small.input_tokens = Some(900_000);
    let mut asked = question(&test, &small);
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
        wish: Wish::Model(ModelWish {
            provider: Some("mock"),
            model: "small",
            endpoint: Endpoint::ChatCompletions,
            input_tokens: None,
            max_output_tokens: Some(10),
        }),
        at: None,
    };
    assert!(test.gate.explain(&asked).unwrap().allowed);
    for subject in [
        Subject::User(UserId::from_uuid(Uuid::nil())),
        Subject::Key(VirtualKeyId::from_uuid(Uuid::nil())),
    ] {
        assert!(test.gate.explain(&Question { subject, ..asked }).is_err());
    }
}

fn ask(test: &TestGate, wish: Wish<'_>) -> Decision {
    let question = Question {
        subject: Subject::Key(test.caller().key),
        wish,
        at: None,
    };
    test.gate.explain(&question).unwrap()
}

fn of_any_model(provider: Option<&str>, tokens: u64) -> Wish<'_> {
    Wish::AnyModel(AnyModelRequest { provider, tokens })
}

#[test]
fn without_a_model_it_says_what_holds_for_every_model() {
    let rate = meter("rate", MeterKind::Tokens, 100);
    let test = TestGate::new(world(limited("starter", [budget("total", 1), rate])));
    let open = ask(&test, of_any_model(None, 0));
    assert!(open.allowed && open.reason.is_none());
    assert_eq!((open.provider.as_deref(), open.model), (Some("mock"), None));
    assert_eq!((open.meters.len(), open.estimate), (2, None));
    assert_eq!(open.key_candidates.len(), 1);
    let long = ask(&test, of_any_model(Some("mock"), 101));
    assert_eq!(said(&long).unwrap().0, "token_limited");
    let unknown = ask(&test, of_any_model(Some("nobody"), 0));
    let told = (
        "provider_blocked",
        "there is no provider `nobody`".to_owned(),
    );
    assert_eq!(said(&unknown), Some(told));
}

#[test]
fn without_a_model_a_spent_budget_refuses() {
    let test = TestGate::new(world(limited("starter", [budget("total", 1)])));
    let mut admission = test.admit(&request("mock/small", 0)).unwrap();
    admission.mark_dispatched();
    // A budget that is only full of running requests may have room in a moment, and for a cheap model has it now.
    assert!(ask(&test, of_any_model(None, 0)).allowed);
    admission.settle(reported(1_000_000, 0));
    let spent = ask(&test, of_any_model(None, 0));
    assert_eq!(said(&spent).unwrap().0, "budget_exceeded");
    assert_eq!(spent.meters[0].reading.remaining, 0);
}

#[test]
fn a_tool_is_paid_for_like_a_request() {
    let copy = Copy {
        mcp: McpGrants {
            servers: vec![files().id],
            ..McpGrants::default()
        },
        ..limited(
            "starter",
            [budget("total", 1), meter("rate", MeterKind::Requests, 1)],
        )
    };
    let mut snapshot = world(copy);
    snapshot.set_mcp(McpCatalog::new([files()], []));
    let test = TestGate::new(snapshot);
    let wish = |tool| {
        let client = "files";
        Wish::Tool(ToolRequest { client, tool })
    };
    let dear = ask(&test, wish(Some("dear")));
    assert_eq!(said(&dear).unwrap().0, "budget_exceeded");
    assert_eq!(dear.estimate.unwrap().cost.nanos(), usd(2));
    let cheap = ask(&test, wish(Some("read")));
    assert!(cheap.allowed && ask(&test, wish(None)).allowed);
    assert_eq!(cheap.mcp_client.as_deref(), Some("Files"));
    assert_eq!(cheap.mcp_tool.as_deref(), Some("read"));
    let blocked = ask(&test, wish(Some("remove")));
    assert_eq!(said(&blocked).unwrap().0, "mcp_tool_blocked");
    // Its one request is made.
    let mut admission = test.admit(&request("mock/small", 0)).unwrap();
    admission.mark_dispatched();
    let limited = ask(&test, wish(Some("read")));
    assert_eq!(said(&limited).unwrap().0, "request_limited");
}

fn files() -> McpClient {
    McpClient {
        id: McpClientId::from_uuid(Uuid::from_u128(1)),
        name: "Files".into(),
        tools_to_execute: vec!["read".to_owned(), "dear".to_owned()],
        tool_pricing: [("dear".to_owned(), Usd::from_nanos(usd(2)))].into(),
    }
}
