//! When connections to a provider are used again, and when not.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tollgate_testkit::provider::{MockProvider, Script, Step};

use crate::harness::{Setup, chat, question, streamed_question, world};

fn connections(mock: &MockProvider) -> usize {
    let ports: BTreeSet<u16> = mock
        .exchanges()
        .iter()
        .map(|exchange| exchange.request.peer_port)
        .collect();
    ports.len()
}

#[tokio::test]
async fn finished_answers_leave_a_connection_to_use_again() {
    let (world, mock) = world().await;
    for body in [question(), streamed_question(), question()] {
        assert_eq!(world.chat(&body).await.status, 200);
    }
    mock.next(Script::error(500, &[], "oops"));
    assert_eq!(world.chat(&question()).await.status, 500);
    assert_eq!(world.chat(&question()).await.status, 200);
    assert_eq!(connections(&mock), 1);
}

#[tokio::test]
async fn provider_that_says_close_gets_a_new_one() {
    let (world, mock) = world().await;
    let headers = [
        ("content-type", "application/json"),
        ("connection", "close"),
    ];
    mock.next(Script::answer(200, &headers, "{}").then(Step::Close));
    for _ in 0..2 {
        assert_eq!(world.chat(&question()).await.status, 200);
    }
    assert_eq!(connections(&mock), 2);
    assert_eq!(
        world
            .metric("tollgate_proxy_upstream_stale_connections_total")
            .unwrap(),
        "0"
    );
}

#[tokio::test]
async fn new_settings_get_new_connections() {
    let mock = MockProvider::start().await;
    let mut setup = Setup::at(&mock.base_url());
    let same = setup.snapshot();
    let reloaded = {
        let network = setup.provider.network.as_deref().cloned().unwrap();
        setup.provider.network = Some(Arc::new(network));
        setup.snapshot()
    };
    setup.provider.revision = 2;
    let edited = setup.snapshot();
    setup.provider.revision = 1;
    let world = setup.start();
    for (snapshot, expect) in [(same, 1), (reloaded, 1), (edited, 2)] {
        world.gate.publish(snapshot);
        assert_eq!(world.chat(&question()).await.status, 200);
        assert_eq!(connections(&mock), expect);
    }
}

#[tokio::test(start_paused = true)]
async fn connection_that_was_idle_for_too_long_is_not_trusted() {
    let (world, mock) = world().await;
    assert_eq!(world.chat(&question()).await.status, 200);
    tokio::time::advance(Duration::from_mins(1)).await;
    assert_eq!(world.chat(&question()).await.status, 200);
    assert_eq!(connections(&mock), 2);
    assert_eq!(
        world
            .metric("tollgate_proxy_upstream_stale_connections_total")
            .unwrap(),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_are_each_charged_once() {
    let (world, mock) = world().await;
    let mut clients = JoinSet::new();
    for number in 0..80 {
        let proxy = world.proxy.clone();
        let body = if number % 2 == 0 {
            question()
        } else {
            streamed_question()
        };
        clients.spawn(async move {
            let response = proxy.serve(chat(&body)).await;
            crate::harness::Answer::of(response).await
        });
    }
    while let Some(answer) = clients.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.text().contains("there"));
    }
    assert_eq!(mock.exchanges().len(), 80);
    assert_eq!(world.spent(), 80 * 16_000);
    assert_eq!(world.stats().in_doubt, 0);
    assert_eq!(
        world.metric("tollgate_proxy_in_flight_requests").unwrap(),
        "0"
    );
}
