//! Clients that leave before the end.

use std::time::Duration;

use tollgate_domain::limits::MeterKind;
use tollgate_testkit::provider::{Chat, Gate, MockProvider, Script, Step};

use crate::harness::{Setup, World, chat, next, question, streamed_question, within, world};

const COST_NANOS: i64 = 16_000;

fn short_drain(mock: &MockProvider) -> World {
    Setup::at(&mock.base_url())
        .config(|config| config.drain_timeout = Duration::from_millis(50))
        .start()
}

/// Sends a request, and leaves as soon as the provider has it.
async fn send_and_leave(world: &World, mock: &MockProvider, body: &serde_json::Value) {
    tokio::select! {
        _ = world.send(chat(body)) => panic!("the provider answers nothing yet"),
        _ = mock.wait_for(1) => {}
    }
}

#[tokio::test]
async fn plain_answer_is_listened_to_and_charged_as_reported() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    send_and_leave(&world, &mock, &question()).await;
    assert!(world.count(MeterKind::Money).reserved > 0);
    gate.open();
    world.settle_down().await;
    assert_eq!(world.spent(), COST_NANOS);
    assert_eq!(world.stats().in_doubt, 0);
    assert_eq!(
        world
            .metric("tollgate_proxy_client_disconnects_total")
            .unwrap(),
        "1"
    );
}

#[tokio::test]
async fn plain_answer_that_does_not_come_is_charged_in_doubt() {
    let mock = MockProvider::start().await;
    let world = short_drain(&mock);
    mock.always(Script::hang());
    send_and_leave(&world, &mock, &question()).await;
    let held = world.count(MeterKind::Money).reserved;
    world.settle_down().await;
    assert_eq!(world.spent(), held);
    assert_eq!(world.stats().in_doubt, 1);
}

#[tokio::test]
async fn error_of_the_provider_costs_nothing_even_then() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    let mut script = Script::default().then(Step::Await(gate.clone()));
    script.steps.extend(Script::error(500, &[], "oops").steps);
    mock.always(script);
    send_and_leave(&world, &mock, &question()).await;
    gate.open();
    world.settle_down().await;
    assert_eq!(world.spent(), 0);
    assert_eq!(world.count(MeterKind::Requests).used, 1);
}

/// Its status has said already that there is nothing to charge.
#[tokio::test]
async fn error_of_the_provider_that_never_ends_costs_nothing() {
    let mock = MockProvider::start().await;
    let world = short_drain(&mock);
    mock.always(Script::chunked(500, &[]).chunk(b"{").then(Step::Hang));
    send_and_leave(&world, &mock, &question()).await;
    world.settle_down().await;
    assert_eq!(world.spent(), 0);
    assert_eq!(world.stats().in_doubt, 0);
}

/// The last line of a stream may come without its end.
#[tokio::test]
async fn usage_in_half_an_event_counts() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    let usage = r#"data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3}}"#;
    let script = Script::chunked(200, &[("content-type", "text/event-stream")])
        .chunk(b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n")
        .then(Step::Await(gate.clone()))
        .chunk(usage.as_bytes())
        .last_chunk();
    mock.always(script);
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    drop(body);
    gate.open();
    world.settle_down().await;
    assert_eq!(world.spent(), COST_NANOS);
}

#[tokio::test]
async fn stream_is_drained_to_learn_its_usage() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    drop(body);
    gate.open();
    world.settle_down().await;
    assert_eq!(world.spent(), COST_NANOS);
}

#[tokio::test]
async fn stream_that_goes_on_too_long_is_charged_for_what_came() {
    let mock = MockProvider::start().await;
    let world = short_drain(&mock);
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    gate.pass(1);
    next(&mut body).await.unwrap();
    drop(body);
    world.settle_down().await;
    // Two tokens of output by our count; the input is what was estimated.
    let input = world.spent() - 2 * 2_000;
    assert!(input > 0 && input % 1_000 == 0, "{input}");
    assert_eq!(world.stats().in_doubt, 0);
}

#[tokio::test]
async fn model_that_reasons_unseen_is_charged_its_bound() {
    let mock = MockProvider::start().await;
    let world = short_drain(&mock);
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let mut question = streamed_question();
    question["model"] = "mock/thinker".into();
    let mut body = world.send(chat(&question)).await.into_body();
    next(&mut body).await.unwrap();
    let held = world.count(MeterKind::Money).reserved;
    drop(body);
    world.settle_down().await;
    assert_eq!(world.spent(), held);
    assert_eq!(world.stats().in_doubt, 1);
}

/// Whoever has heard the end has heard everything, whatever becomes of the connection.
#[tokio::test]
async fn stream_that_breaks_behind_its_end_is_charged_as_one_that_ended() {
    for after in [Step::Reset, Step::Hang] {
        let mock = MockProvider::start().await;
        let world = short_drain(&mock);
        let gate = Gate::new();
        let script = Script::chunked(200, &[("content-type", "text/event-stream")])
            .chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"one two \"}}]}\n\n")
            .then(Step::Await(gate.clone()))
            .chunk(b"data: [DONE]\n\n")
            .then(after.clone());
        mock.always(script);
        let mut question = streamed_question();
        question["model"] = "mock/thinker".into();
        let mut body = world.send(chat(&question)).await.into_body();
        next(&mut body).await.unwrap();
        drop(body);
        gate.open();
        world.settle_down().await;
        assert_eq!(world.stats().in_doubt, 0, "{after:?}");
        let input = world.spent() - 2 * 2_000;
        assert!(input > 0 && input % 1_000 == 0, "{after:?}: {input}");
    }
}

#[tokio::test]
async fn client_that_leaves_after_the_end_changes_nothing() {
    let (world, _mock) = world().await;
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    let mut text = Vec::new();
    while !text.ends_with(b"[DONE]\n\n") {
        text.extend_from_slice(&next(&mut body).await.unwrap());
    }
    drop(body);
    assert_eq!(world.spent(), COST_NANOS);
    world.settle_down().await;
    assert_eq!(
        world
            .metric("tollgate_proxy_client_disconnects_total")
            .unwrap(),
        "0"
    );
}

#[tokio::test]
async fn client_that_leaves_while_connecting_is_charged_nothing() {
    // A first poll cannot come further than the beginning of the connection.
    let (world, mock) = world().await;
    let mut request = Box::pin(world.proxy.serve(chat(&question())));
    let polled = within(std::future::poll_fn(|cx| {
        std::task::Poll::Ready(request.as_mut().poll(cx).is_pending())
    }))
    .await;
    assert!(polled);
    drop(request);
    world.settle_down().await;
    assert_eq!(world.spent(), 0);
    assert_eq!(world.stats().open, 0);
    assert_eq!(mock.exchanges().len(), 0);
}
