//! Further attempts, and when there are none.

use std::sync::Arc;
use std::time::Duration;

use tollgate_domain::Clock as _;
use tollgate_domain::access::profile::Reservation;
use tollgate_domain::limits::MeterKind;
use tollgate_domain::live::LiveCounters as _;
use tollgate_domain::provider::ProviderKey;
use tollgate_testkit::entities::{meter, provider_key};
use tollgate_testkit::provider::{Behaviour, MockProvider, Script, Step};

use crate::harness::{Setup, World, question, streamed_question};

const COST_NANOS: i64 = 16_000;

fn with_retries(mock: &MockProvider, retries: u32) -> World {
    Setup::at(&mock.base_url())
        .network(|network| network.max_retries = retries)
        .start()
}

#[tokio::test]
async fn error_statuses_of_a_moment_are_tried_again() {
    let mock = MockProvider::start().await;
    let world = with_retries(&mock, 2);
    mock.next(Script::error(500, &[], "oops"));
    mock.next(Script::error(429, &[], "busy"));
    assert_eq!(world.chat(&streamed_question()).await.status, 200);
    assert_eq!(mock.exchanges().len(), 3);
    assert_eq!(world.spent(), COST_NANOS);
    assert_eq!(world.count(MeterKind::Requests).used, 1);
    assert_eq!(
        world
            .metric("tollgate_proxy_upstream_attempts_total{result=\"error_status\"}")
            .unwrap(),
        "2"
    );
}

#[tokio::test]
async fn the_last_error_is_the_answer() {
    let mock = MockProvider::start().await;
    let world = with_retries(&mock, 1);
    mock.always(Script::error(503, &[], "still down"));
    let answer = world.chat(&question()).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["error"]["message"], "still down");
    assert_eq!(mock.exchanges().len(), 2);
}

#[tokio::test]
async fn errors_of_the_request_are_final() {
    let mock = MockProvider::start().await;
    let world = with_retries(&mock, 3);
    mock.always(Script::error(400, &[], "no"));
    assert_eq!(world.chat(&question()).await.status, 400);
    assert_eq!(mock.exchanges().len(), 1);
}

/// A provider that took a request and broke off may have worked on it: nothing is sent twice for one charge.
#[tokio::test]
async fn a_request_that_was_sent_and_not_answered_is_final() {
    for script in [Script::reset(), Script::garbage()] {
        let mock = MockProvider::start().await;
        let world = with_retries(&mock, 3);
        mock.always(script);
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
        assert_eq!(mock.exchange_count(), 1);
        assert_eq!(world.stats().in_doubt, 1);
        assert!(world.spent() > 0);
    }
}

/// A limit that a retry leaves behind has seen the request all the same, since it was sent.
#[tokio::test]
async fn a_request_counts_as_one_also_where_a_retry_left_it() {
    let mock = MockProvider::start().await;
    let setup = Setup::at(&mock.base_url()).network(|network| network.max_retries = 1);
    let meters = ["before", "after"].map(|name| Arc::new(meter(name, MeterKind::Requests, 100)));
    let [before, after] = meters.clone().map(|meter| {
        Setup::at(&mock.base_url())
            .network(|network| network.max_retries = 1)
            .copy(|copy| copy.meters = vec![meter])
            .snapshot()
    });
    let world = setup.start();
    world.gate.publish(before);
    let gate = world.gate.clone();
    mock.next(Behaviour::respond(move |_| {
        gate.publish(after.clone());
        Script::error(500, &[], "oops")
    }));
    assert_eq!(world.chat(&question()).await.status, 200);
    assert_eq!(mock.exchange_count(), 2);
    for meter in &meters {
        let count = world.gate.ledger().count(meter, world.clock.now());
        assert_eq!((count.used, count.reserved), (1, 0), "{meter:?}");
    }
}

/// Whatever came of the attempt before it.
#[tokio::test(start_paused = true)]
async fn a_retry_that_never_connects_costs_nothing() {
    let mock = MockProvider::start().await;
    // The kernel accepts; nobody ever answers the TLS hello.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = Setup::at(&format!("https://{}", silent.local_addr().unwrap()))
        .network(|network| network.ca_cert_pem = Some(crate::tls::authority().pem().into()))
        .snapshot();
    let world = with_retries(&mock, 1);
    let gate = world.gate.clone();
    mock.next(Behaviour::respond(move |_| {
        gate.publish(elsewhere.clone());
        // More than is read of an error.
        Script::error(500, &[], &"oops".repeat(100_000))
    }));
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (504, "upstream_error".to_owned()));
    assert_eq!(mock.exchange_count(), 1);
    assert_eq!(world.spent(), 0);
    assert_eq!(world.stats().in_doubt, 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_wish_to_wait_is_honoured_and_a_long_one_passed_on() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .network(|network| {
            network.max_retries = 1;
            network.request_timeout = Duration::from_mins(1);
            network.retry_backoff_max = Duration::from_secs(3);
        })
        .start();
    mock.next(Script::error(429, &[("retry-after", "2")], "busy"));
    let before = tokio::time::Instant::now();
    assert_eq!(world.chat(&question()).await.status, 200);
    assert!(before.elapsed() >= Duration::from_secs(2));
    mock.next(Script::error(429, &[("retry-after", "4")], "busy"));
    let answer = world.chat(&question()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("retry-after")),
        (429, "4")
    );
}

#[tokio::test]
async fn the_next_credential_is_tried_when_one_is_refused() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .provider(|provider| {
            let second = ProviderKey {
                weight: 0.5,
                ..provider_key("second")
            };
            provider.keys.push(Arc::new(second));
        })
        .start();
    mock.always(Behaviour::respond(|request| {
        if request.header("authorization") == "Bearer sk-upstream-mock" {
            Script::error(401, &[], "bad key")
        } else {
            Script::json(200, &serde_json::json!({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}))
        }
    }));
    assert_eq!(world.chat(&question()).await.status, 200);
    let credentials: Vec<_> = mock
        .exchanges()
        .iter()
        .map(|exchange| exchange.request.header("authorization").to_owned())
        .collect();
    assert_eq!(
        credentials,
        ["Bearer sk-upstream-mock", "Bearer sk-upstream-second"]
    );
    assert_eq!(world.count(MeterKind::Requests).used, 1);
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_gets_no_further_attempt() {
    let mock = MockProvider::start().await;
    let setup = Setup::at(&mock.base_url()).network(|network| network.max_retries = 5);
    let mut revoked = setup.snapshot();
    let id = revoked.keys().next().unwrap().id;
    revoked.remove_key(id);
    let world = setup.start();
    let gate = world.gate.clone();
    mock.always(Behaviour::respond(move |_| {
        gate.publish(revoked.clone());
        Script::error(500, &[], "oops")
    }));
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (401, "virtual_key_not_found".to_owned()));
    assert_eq!(mock.exchanges().len(), 1);
    assert_eq!(world.spent(), 0);
}

#[tokio::test]
async fn idle_connection_that_the_provider_closed_costs_no_request() {
    let mock = MockProvider::start().await;
    let world = with_retries(&mock, 0);
    assert_eq!(world.chat(&question()).await.status, 200);
    // Closes the connection on the second request without a word, and answers the third, which comes on a new one.
    mock.next(Script::default().then(Step::Close));
    assert_eq!(world.chat(&question()).await.status, 200);
    assert_eq!(mock.exchanges().len(), 3);
    assert_eq!(world.spent(), 2 * COST_NANOS);
    assert_eq!(
        world
            .metric("tollgate_proxy_upstream_stale_connections_total")
            .unwrap(),
        "1"
    );
}

/// The provider may have begun to work on it, and `bound` promises that whatever it was made to do is charged.
#[tokio::test]
async fn with_exact_bounds_a_request_that_was_sent_is_never_sent_again() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .copy(|copy| copy.settings.reservation = Reservation::Bound)
        .start();
    assert_eq!(world.chat(&question()).await.status, 200);
    mock.next(Script::default().then(Step::Close));
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
    assert_eq!(mock.exchange_count(), 2);
    assert!(world.spent() > 2 * COST_NANOS, "{}", world.spent());
    assert_eq!(world.stats().in_doubt, 1);
}
