//! What is explained and what is refused: the same code, the same words, the same numbers.

use std::sync::Arc;
use std::time::Duration;

use tollgate_domain::access::profile::{OnUnknownPrice, Reservation};
use tollgate_domain::access::{
    Copy, Decision, Explain as _, ModelList, Payer, ProviderGrant, Question, Subject,
};
use tollgate_domain::error::MeterReading;
use tollgate_domain::limits::{Boost, Meter, MeterKind, ResetDuration};
use tollgate_domain::snapshot::{KeyHolder, Snapshot, User, VirtualKey};
use tollgate_domain::{Clock as _, ErrorKind, GatewayError, Timestamp};
use tollgate_testkit::entities::{catalog, copy, grant, key, meter, model_info, provider, user};

use super::kit::*;

/// Everything that a refusal tells, as either side tells it.
type Told = (&'static str, u16, String, Option<(MeterReading, i64, bool)>);

fn refused(error: &GatewayError) -> Told {
    let limit = error.limit.as_ref().map(|limit| {
        let reading = limit.reading.clone();
        (reading, limit.needed, limit.is_transient)
    });
    (
        error.kind.code(),
        error.kind.status(),
        error.message.clone(),
        limit,
    )
}

fn explained(decision: &Decision) -> Told {
    let reason = decision.reason.as_ref().expect("a refusal");
    let limit = decision.meters.iter().find(|meter| meter.refuses);
    let limit = limit.map(|meter| (meter.reading.clone(), meter.needed, meter.is_transient));
    (reason.code, reason.status, reason.message.clone(), limit)
}

/// Both sides refuse alike, with this code.
#[track_caller]
fn check(test: &TestGate, model: &str, kind: ErrorKind) {
    let asked = request(model, 1_000_000);
    let decision = test.gate.explain(&question(test, &asked)).unwrap();
    let error = test.admit(&asked).unwrap_err();
    assert_eq!(error.kind, kind, "{error}");
    assert_eq!(explained(&decision), refused(&error));
    assert!(!decision.allowed);
}

fn with_key(change: impl FnOnce(&mut VirtualKey)) -> TestGate {
    let test = TestGate::new(world(limited("starter", [])));
    let mut changed = key("ada", KeyHolder::User(user("ada").id));
    change(&mut changed);
    let mut snapshot = Snapshot::clone(&test.gate.snapshot());
    snapshot.put_key(changed);
    test.gate.publish(snapshot);
    test
}

/// Time does not run backwards for limits, so neither does it for what is said of them.
#[test]
fn a_clock_that_steps_back_is_explained_with_the_window_that_counts() {
    let test = TestGate::new(world(limited("starter", [budget("total", 3)])));
    let start = test.clock.now();
    test.clock.advance(Duration::from_hours(24 * 62));
    run_one(&test).settle(reported(3_000_000, 0));
    test.clock.set(start);
    check(&test, "mock/small", ErrorKind::BudgetExceeded);
}

fn run_one(test: &TestGate) -> crate::Admission {
    let mut admission = test.admit(&request("mock/small", 1_000_000)).unwrap();
    admission.mark_dispatched();
    admission
}

#[test]
fn refusals_of_policy_are_explained_as_they_are_made() {
    let allowing = |model: &str| {
        TestGate::new(world(Copy {
            grants: vec![ProviderGrant {
                allowed: ModelList::compile(&[model]).unwrap(),
                ..grant("mock")
            }],
            ..copy("starter")
        }))
    };
    check(&allowing("large"), "mock/small", ErrorKind::ModelBlocked);
    let elsewhere = TestGate::new(world(Copy {
        grants: vec![grant_of("elsewhere")],
        ..copy("starter")
    }));
    check(&elsewhere, "mock/small", ErrorKind::ProviderBlocked);
    check(&allowing("*"), "mock/unpriced", ErrorKind::PriceUnknown);
    let inactive = TestGate::new(world(Copy {
        is_active: false,
        ..limited("starter", [])
    }));
    check(&inactive, "mock/small", ErrorKind::AccessBlocked);
    let capped = with_key(|key| key.grants = vec![grant("elsewhere")]);
    check(&capped, "mock/small", ErrorKind::ProviderBlocked);
}

/// The key opens nothing, so nobody is admitted; `explain` finds it by its id all the same.
#[test]
fn key_that_opens_nothing_is_explained_as_well() {
    type Change = fn(&mut VirtualKey);
    let changes: [Change; 2] = [
        |key| key.is_active = false,
        |key| key.expires_at = Some(Timestamp::from_micros(1)),
    ];
    for change in changes {
        let whole = TestGate::new(world(limited("starter", [])));
        let caller = whole.caller();
        let test = with_key(change);
        let asked = request("mock/small", 10);
        let question = Question {
            subject: Subject::Key(caller.key),
            ..question(&whole, &asked)
        };
        let decision = test.gate.explain(&question).unwrap();
        let id = test.gate.new_request_id();
        let error = test.gate.admit(&caller, id, &asked, false).unwrap_err();
        assert_eq!(error.kind, ErrorKind::AccessBlocked);
        assert_eq!(explained(&decision).0, refused(&error).0);
        assert_eq!(explained(&decision).2, refused(&error).2);
    }
}

#[test]
fn name_that_several_offer_is_explained_as_ambiguous() {
    let mut snapshot = world(Copy {
        grants: vec![grant("mock"), grant("other")],
        ..copy("starter")
    });
    snapshot.set_providers(["mock", "other"].map(|name| provider(name, "http://127.0.0.1:1")));
    snapshot.set_catalog(catalog([
        ("mock", "small", model_info(1, 2)),
        ("other", "small", model_info(1, 2)),
    ]));
    check(&TestGate::new(snapshot), "small", ErrorKind::ModelAmbiguous);
}

/// A request holds a dollar and a bit, since the model gives no more than 4,096 tokens; what it is charged is three.
#[test]
fn refusals_of_limits_are_explained_number_for_number() {
    let spent = |kind, limit| {
        let test = TestGate::new(world(limited("starter", [meter("line", kind, limit)])));
        run_one(&test).settle(reported(1_000_000, 1_000_000));
        test
    };
    check(
        &spent(MeterKind::Money, usd(3)),
        "mock/small",
        ErrorKind::BudgetExceeded,
    );
    check(
        &spent(MeterKind::Money, usd(4)),
        "mock/small",
        ErrorKind::BudgetExceeded,
    );
    check(
        &spent(MeterKind::Tokens, 3_000_000),
        "mock/small",
        ErrorKind::TokenLimited,
    );
    check(
        &spent(MeterKind::Requests, 1),
        "mock/small",
        ErrorKind::RequestLimited,
    );
    for (kind, limit, code) in [
        (MeterKind::Money, usd(2), ErrorKind::BudgetInFlight),
        (MeterKind::Tokens, 2_000_000, ErrorKind::TokenLimited),
        (MeterKind::Requests, 1, ErrorKind::RequestLimited),
        (MeterKind::Parallel, 1, ErrorKind::ConcurrencyLimited),
    ] {
        let test = TestGate::new(world(limited("starter", [meter("line", kind, limit)])));
        let _running = run_one(&test);
        check(&test, "mock/small", code);
    }
    // Two dollars and a half are spent: of what is left, the input takes a dollar, and 4,000 microdollars are output.
    let test = TestGate::new(world(limited(
        "starter",
        [meter("line", MeterKind::Money, usd(3) + 504_000_000)],
    )));
    run_one(&test).settle(reported(1_000_000, 750_000));
    check(&test, "mock/small", ErrorKind::BudgetExceeded);
    let error = test.admit(&request("mock/small", 4_096)).unwrap_err();
    assert_eq!(error.limit.unwrap().largest_output_that_fits, Some(2_000));
    // With an override, and what is left after a settlement.
    let boosted = Meter {
        boost: Some(Boost {
            amount: usd(1),
            until: None,
        }),
        ..meter("line", MeterKind::Money, usd(3))
    };
    let mut copy = limited("starter", [boosted]);
    copy.settings.reservation = Reservation::Bound;
    copy.settings.on_unknown_price = OnUnknownPrice::Allow;
    let test = TestGate::new(world(copy));
    let asked = request("mock/small", 10);
    let mut admission = test.admit(&asked).unwrap();
    admission.mark_dispatched();
    admission.settle(reported(1_000_000, 1_000_000));
    check(&test, "mock/small", ErrorKind::BudgetExceeded);
}

#[test]
fn the_next_payer_is_tried_and_the_transient_refusal_wins() {
    let paying = |name: &str, priority, dollars| Copy {
        priority,
        ..limited(name, [budget(name, dollars)])
    };
    let with = |copies: [Copy; 2]| {
        let mut snapshot = world(limited("unused", []));
        let mut ada = user("ada");
        ada.copies = copies.map(Arc::new).to_vec();
        snapshot.put_user(ada);
        TestGate::new(snapshot)
    };
    let test = with([paying("second", 2, 2), paying("first", 1, 2)]);
    let payer = |admission: &crate::Admission| match &admission.candidate().payer {
        Payer::Copy(copy) => copy.name.to_string(),
        Payer::Key(id) => id.to_string(),
    };
    // In order of priority, whatever the order of assignment; then over to the next.
    let first = run_one(&test);
    let second = run_one(&test);
    assert_eq!(
        (payer(&first), payer(&second)),
        ("first".into(), "second".into())
    );
    check(&test, "mock/small", ErrorKind::BudgetInFlight);
    first.settle(reported(1_000_000, 1_000_000));
    // The first is spent for good, the second only full: it is worth trying again.
    check(&test, "mock/small", ErrorKind::BudgetInFlight);
    second.settle(reported(1_000_000, 1_000_000));
    check(&test, "mock/small", ErrorKind::BudgetExceeded);
}

#[test]
fn fiscal_quarters_and_overrides_end_when_they_end() {
    let mut line = budget("total", 3);
    if let Some(window) = &mut line.window {
        window.duration = ResetDuration::Quarter;
        window.zone = Some("Asia/Kathmandu".parse().unwrap());
        window.quarter_start_month = 2;
    }
    // Quarters begin in February, May, August and November, and the tests' time is in November.
    line.boost = Some(Boost {
        amount: usd(3),
        until: Some("2026-12-01T00:00:00Z".parse().unwrap()),
    });
    let test = TestGate::new(world(limited("starter", [line])));
    run_one(&test).settle(reported(1_000_000, 1_000_000));
    let asked = request("mock/small", 1_000_000);
    let at = |instant: &str| {
        let question = Question {
            at: Some(instant.parse().unwrap()),
            ..question(&test, &asked)
        };
        test.gate.explain(&question).unwrap()
    };
    assert!(at("2026-11-30T23:59:59Z").allowed, "raised to six dollars");
    let lowered = at("2026-12-01T00:00:00Z");
    assert_eq!(explained(&lowered).0, "budget_exceeded");
    assert_eq!(lowered.meters[0].reading.limit, usd(3));
    // Midnight of 1 February in Kathmandu is 18:15 UTC of the day before.
    assert_eq!(
        lowered.meters[0].reading.resets_at,
        Some("2027-01-31T18:15:00Z".parse().unwrap())
    );
    assert!(!at("2027-01-31T18:14:59Z").allowed);
    let next = at("2027-01-31T18:15:00Z");
    assert!(next.allowed);
    assert_eq!(next.meters[0].reading.used, 0);
}

/// Ada's world with nothing in order but the first so many of: key, user, provider, model, price, requests, tokens, budget.
fn in_order_up_to(mended: usize) -> TestGate {
    let is_wrong = |part: usize| part >= mended;
    let granted = match (is_wrong(2), is_wrong(3)) {
        (true, _) => grant("elsewhere"),
        (false, true) => ProviderGrant {
            allowed: ModelList::compile(&["large"]).unwrap(),
            ..grant("mock")
        },
        (false, false) => grant("mock"),
    };
    // The budget stands first: the order is not that of the lines.
    let limits = [MeterKind::Money, MeterKind::Requests, MeterKind::Tokens];
    let meters = limits.into_iter().zip([7, 5, 6]).map(|(kind, part)| {
        let limit = if is_wrong(part) { 0 } else { i64::MAX };
        Arc::new(meter(kind.as_str(), kind, limit))
    });
    let mut snapshot = world(Copy {
        grants: vec![granted],
        meters: meters.collect(),
        ..copy("starter")
    });
    if is_wrong(4) {
        snapshot.set_catalog(catalog([]));
    }
    let ada = user("ada");
    snapshot.put_key(VirtualKey {
        is_active: !is_wrong(0),
        ..key("ada", KeyHolder::User(ada.id))
    });
    let ada = User::clone(snapshot.user(ada.id).unwrap());
    snapshot.put_user(User {
        is_active: !is_wrong(1),
        ..ada
    });
    TestGate::new(snapshot)
}

#[test]
fn of_all_that_is_wrong_the_first_in_order_is_the_reason() {
    let whole = TestGate::new(world(limited("starter", [])));
    let asked = request("mock/small", 10);
    let reasons: Vec<String> = (0..=8)
        .map(|mended| {
            let test = in_order_up_to(mended);
            let decision = test.gate.explain(&question(&whole, &asked)).unwrap();
            let reason = decision.reason.map(|reason| {
                let about_user = reason.message.contains("the user");
                format!("{}{}", reason.code, if about_user { " (user)" } else { "" })
            });
            reason.unwrap_or_else(|| "allowed".to_owned())
        })
        .collect();
    let expected = [
        "access_blocked",
        "access_blocked (user)",
        "provider_blocked",
        "model_blocked",
        "price_unknown",
        "request_limited",
        "token_limited",
        "budget_exceeded",
        "allowed",
    ];
    assert_eq!(reasons, expected);
}
