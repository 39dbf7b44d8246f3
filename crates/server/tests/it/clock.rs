//! The wall clock of a running gateway jumps: windows follow it forwards and are not opened again backwards.
//!
//! The clock is set from outside, by the library that also makes the disk fail.

use tokio::task::JoinSet;
use tollgate_testkit::provider::{Chat, Gate};

use crate::black_box::{Place, Stage, bound, chat, cost};

const DAY: i64 = 86_400;
/// What the default answer costs.
const ANSWER: i64 = cost(10, 3);

#[tokio::test]
async fn a_window_that_ends_while_requests_run_is_charged_for_them() {
    let stage = Stage::at(Place::with_faults(), 1.0, "bound").await;
    let gate = Gate::new();
    stage.provider.next(Chat::default().gated(&gate));
    let mut client = JoinSet::new();
    let caller = stage.caller.clone();
    client.spawn(async move { caller.chat(&chat("small", 5, true)).await.unwrap() });
    stage.provider.wait_for_count(1).await;
    assert!(stage.caller.reserved().await > 0);

    stage.gateway.faults().set_clock(DAY);
    assert_eq!(
        stage.caller.reserved().await,
        0,
        "the new window holds nothing"
    );
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    gate.open();
    let answer = client.join_next().await.unwrap().unwrap();
    assert!(answer.text.ends_with("data: [DONE]\n\n"), "{answer:?}");
    assert_eq!(
        stage.caller.spent().await,
        ANSWER,
        "the other is the old window's"
    );

    // Both are in the log, and a crash forgets neither.
    let Stage {
        gateway, caller, ..
    } = stage;
    let gateway = gateway.killed_and_restarted().await;
    assert_eq!(caller.at(&gateway).spent().await, ANSWER);
    let gateway = gateway.stopped_and_restarted().await;
    assert_eq!(gateway.admin().logged().await, (2, 2 * ANSWER));
}

#[tokio::test]
async fn a_spent_budget_is_full_again_in_its_next_window_and_a_clock_that_steps_back_changes_nothing()
 {
    // Room for one request and no other.
    let stage = Stage::at(Place::with_faults(), 0.000_4, "bound").await;
    let ask = async || {
        let answer = stage.caller.chat(&chat("small", 80, false)).await.unwrap();
        (answer.status, answer.code())
    };
    let spent = (402, "budget_exceeded".to_owned());
    let answered = (200, String::new());
    while ask().await == answered {}
    assert_eq!(ask().await, spent);
    let of_today = stage.caller.spent().await;
    assert!(of_today > 0);

    let faults = stage.gateway.faults();
    faults.set_clock(DAY);
    assert_eq!(stage.caller.spent().await, 0);
    while ask().await == answered {}
    assert_eq!(ask().await, spent);
    assert_eq!(stage.caller.spent().await, of_today);

    // Back to where the first window had ended, and to long before it began.
    for shift in [0, -30 * DAY] {
        faults.set_clock(shift);
        assert_eq!(ask().await, spent, "{shift}");
        assert_eq!(stage.caller.spent().await, of_today, "{shift}");
    }
}

#[tokio::test]
async fn a_clock_that_stepped_back_while_the_gateway_was_down_opens_no_old_window() {
    let stage = Stage::at(Place::with_faults(), 1.0, "bound").await;
    let ask = async |stage: &Stage| {
        let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    ask(&stage).await;
    stage.gateway.faults().set_clock(DAY);
    for _ in 0..2 {
        ask(&stage).await;
    }
    let Stage {
        gateway,
        provider,
        caller,
    } = stage;
    gateway.faults().set_clock(0);
    let gateway = gateway.killed_and_restarted().await;
    let caller = caller.at(&gateway);
    assert_eq!(caller.spent().await, 2 * ANSWER, "tomorrow has begun");
    let gateway = gateway.stopped_and_restarted().await;
    let stage = Stage {
        caller: caller.at(&gateway),
        gateway,
        provider,
    };
    ask(&stage).await;
    assert_eq!(stage.caller.spent().await, 3 * ANSWER);
}

/// No request should need it: one is made to look as if it had forgotten its hold, by a clock that says that it has been
/// running for hours.
#[tokio::test]
async fn a_hold_that_outlives_its_request_is_swept_in_doubt_and_not_charged_again() {
    let place = Place::with_faults();
    let stage = Stage::at(place, 1.0, "bound").await;
    let gate = Gate::new();
    stage.provider.next(Chat::default().gated(&gate));
    let body = chat("small", 5, true);
    let most = bound(body.to_string().len(), 5);
    let mut client = JoinSet::new();
    let caller = stage.caller.clone();
    client.spawn(async move { caller.chat(&body).await });
    stage.provider.wait_for_count(1).await;
    let gateway = &stage.gateway;
    assert_eq!(stage.caller.reserved().await, most);
    gateway.faults().set_clock(3 * 3_600);
    // Until the sweeper looks, which it does every half minute; the request has more time by that clock.
    gateway.faults().pass(31);
    while gateway.metric("tollgate_swept_holds_total").await == 0 {}
    assert_eq!(gateway.metric("tollgate_swept_holds_total").await, 1);
    assert_eq!(stage.caller.reserved().await, 0);
    assert_eq!(stage.caller.spent().await, most);
    gate.open();
    let answer = client.join_next().await.unwrap().unwrap();
    assert_eq!(stage.caller.spent().await, most, "{answer:?}");
    let listed = loop {
        let listed = gateway.admin().get("/api/governance/in-doubt").await;
        if listed["total_count"] != 0 {
            break listed;
        }
    };
    assert_eq!(listed["total_count"], 1);
    assert_eq!(listed["in_doubt"][0]["reason"], "expired");
    assert_eq!(gateway.admin().logged().await, (1, most));
    let output = gateway.output();
    assert!(output.contains("holds outlived their requests"), "{output}");
}
