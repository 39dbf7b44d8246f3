//! Going down.

use tollgate_domain::limits::MeterKind;
use tollgate_testkit::provider::{Chat, Gate, Script};

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
