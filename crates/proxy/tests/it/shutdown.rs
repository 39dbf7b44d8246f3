//! Going down.

use tollgate_domain::limits::MeterKind;
use tollgate_testkit::provider::{Chat, Gate, Script, Step};

use crate::harness::{chat, next, question, streamed_question, world};

#[tokio::test]
async fn running_streams_go_on_and_new_requests_are_refused() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    world.shutdown.soft.cancel();
    let refused = world.chat(&question()).await;
    assert_eq!(refused.error(), (503, "shutting_down".to_owned()));
    assert_eq!(refused.header("retry-after"), "1");
    gate.open();
    let mut rest = Vec::new();
    while let Some(piece) = next(&mut body).await {
        rest.extend_from_slice(&piece);
    }
    assert!(rest.ends_with(b"[DONE]\n\n"));
}

#[tokio::test]
async fn streams_are_cut_off_and_settled_at_the_end_of_the_grace_time() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    world.shutdown.hard.cancel();
    let last = next(&mut body).await.unwrap();
    assert!(
        std::str::from_utf8(&last)
            .unwrap()
            .contains("\"shutting_down\"")
    );
    assert_eq!(next(&mut body).await, None);
    assert!(world.spent() > 0);
}

#[tokio::test]
async fn listening_after_a_client_ends_with_the_grace_time_too() {
    let (world, mock) = world().await;
    mock.always(Script::hang());
    tokio::select! {
        _ = world.send(chat(&question())) => panic!("the provider answers nothing"),
        _ = mock.wait_for(1) => {}
    }
    assert!(world.count(MeterKind::Money).reserved > 0);
    world.shutdown.hard.cancel();
    world.settle_down().await;
    assert_eq!(world.stats().in_doubt, 1);
    assert!(world.spent() > 0);
}

/// What a provider did until then, nobody knows.
#[tokio::test]
async fn stream_that_has_said_nothing_by_then_is_charged_in_doubt() {
    let (world, mock) = world().await;
    let script = Script::chunked(200, &[("content-type", "text/event-stream")])
        .chunk(b": thinking\n\n")
        .then(Step::Hang);
    mock.always(script);
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    let held = world.count(MeterKind::Money).reserved;
    world.shutdown.hard.cancel();
    while next(&mut body).await.is_some() {}
    assert_eq!(world.spent(), held);
    assert_eq!(world.stats().in_doubt, 1);
}

/// Nothing is sent to the background that nobody waits for.
#[tokio::test]
async fn client_that_leaves_after_the_grace_time_is_settled_at_once() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    next(&mut body).await.unwrap();
    world.shutdown.hard.cancel();
    drop(body);
    assert_eq!(world.stats().open, 0);
    assert!(world.spent() > 0);
}
