//! Providers that fail.

use serde_json::json;
use tollgate_domain::limits::MeterKind;
use tollgate_testkit::provider::{Chat, ClosedPort, Fault, MockProvider, Script};

use crate::harness::{Setup, question, streamed_question, world};

#[tokio::test]
async fn refused_connection_is_a_502_and_costs_nothing() {
    let closed = ClosedPort::new();
    let world = Setup::at(&closed.base_url()).start();
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
    assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
    assert_eq!(answer.header("x-tollgate-provider"), "mock");
    assert_eq!(world.spent(), 0);
    assert_eq!(world.count(MeterKind::Requests).used, 1);
    assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
}

#[tokio::test]
async fn reset_garbage_and_a_closed_connection_are_charged_in_doubt() {
    let close = Script::default().then(tollgate_testkit::provider::Step::Close);
    for script in [Script::reset(), Script::garbage(), close] {
        let (world, mock) = world().await;
        mock.always(script);
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
        assert!(world.spent() > 0);
        assert_eq!(world.stats().in_doubt, 1);
        assert_eq!(mock.exchanges().len(), 1, "what was sent is not sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_provider_is_a_504_and_charged_in_doubt() {
    for body in [question(), streamed_question()] {
        let (world, mock) = world().await;
        mock.always(Script::hang());
        let answer = world.chat(&body).await;
        assert_eq!(answer.error(), (504, "upstream_error".to_owned()));
        assert_eq!(world.stats().in_doubt, 1);
    }
}

#[tokio::test]
async fn half_of_a_plain_answer_is_no_answer() {
    for fault in [Fault::Reset, Fault::Close, Fault::HalfEvent] {
        let (world, mock) = world().await;
        mock.always(Chat::default().broken_after(1, fault));
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
        assert_eq!(world.stats().in_doubt, 1);
    }
}

#[tokio::test]
async fn error_status_passes_with_its_body_and_costs_nothing() {
    let (world, mock) = world().await;
    mock.always(Script::error(
        429,
        &[("retry-after", "7"), ("x-ratelimit-limit-requests", "1")],
        "slow down",
    ));
    for body in [question(), streamed_question()] {
        let answer = world.chat(&body).await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json()["error"]["message"], "slow down");
        assert_eq!(answer.header("retry-after"), "7");
        assert_eq!(answer.header("x-tollgate-error-source"), "upstream");
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "100");
    }
    assert_eq!(world.spent(), 0);
    assert_eq!(world.count(MeterKind::Requests).used, 2);
}

#[tokio::test]
async fn error_that_is_no_json_or_about_our_credential_is_told_in_our_words() {
    let (world, mock) = world().await;
    let quoting = json!({"error": {"message": "bad key sk-upstream-mock"}});
    let html = Script::answer(503, &[("content-type", "text/html")], "<h1>down</h1>");
    for (script, status) in [
        (html, 503),
        (Script::error(401, &[], "your key is sk-up***ock"), 401),
        (Script::json(400, &quoting), 400),
        (
            Script::answer(302, &[("location", "http://127.0.0.1:1/")], ""),
            502,
        ),
    ] {
        mock.next(script);
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (status, "upstream_error".to_owned()));
        assert!(!answer.text().contains("sk-up"));
        assert_eq!(answer.header("location"), "");
    }
    assert_eq!(world.spent(), 0);
}

#[tokio::test]
async fn permanent_errors_say_that_a_retry_is_of_no_use() {
    let (world, mock) = world().await;
    for (status, expect) in [
        (400, "false"),
        (404, "false"),
        (401, "false"),
        (429, ""),
        (500, ""),
    ] {
        mock.next(Script::error(status, &[], "no"));
        let answer = world.chat(&question()).await;
        assert_eq!(answer.header("x-should-retry"), expect, "{status}");
    }
}

#[tokio::test]
async fn answer_that_is_larger_than_we_keep_is_no_answer() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .config(|config| config.max_response_body = 1_000)
        .start();
    mock.always(Chat::default().pieces(["x".repeat(1_001)]));
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
    assert_eq!(world.stats().in_doubt, 1);
}

#[tokio::test]
async fn compressed_answer_that_nobody_asked_for_passes_and_is_charged_in_doubt() {
    for content_type in ["application/json", "text/event-stream"] {
        let (world, mock) = world().await;
        let headers = [("content-type", content_type), ("content-encoding", "gzip")];
        mock.always(Script::answer(200, &headers, "\x1f\u{8b}"));
        let answer = world.chat(&question()).await;
        assert_eq!(answer.header("content-encoding"), "gzip");
        assert_eq!(answer.text(), "\x1f\u{8b}");
        assert!(world.spent() > 0);
        assert_eq!(world.stats().in_doubt, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn provider_that_never_gets_past_the_handshake_costs_nothing() {
    // The kernel accepts; nobody ever answers the TLS hello.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let world = Setup::at(&format!("https://{}", silent.local_addr().unwrap()))
        .network(|network| network.ca_cert_pem = Some(crate::tls::authority().pem().into()))
        .start();
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (504, "upstream_error".to_owned()));
    assert_eq!(world.spent(), 0);
    assert_eq!(world.stats().in_doubt, 0);
}

#[tokio::test]
async fn addresses_are_checked() {
    for (url, is_allowed) in [
        ("http://169.254.169.254", false),
        ("http://[::ffff:169.254.169.254]", false),
        ("http://0.0.0.0", false),
        ("http://localhost", false),
    ] {
        let world = Setup::at(url).start();
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
        assert_eq!(
            answer.text().contains("is not allowed"),
            !is_allowed,
            "{url}"
        );
        assert_eq!(world.spent(), 0);
    }
}

#[tokio::test]
async fn names_that_resolve_to_private_addresses_need_the_switch() {
    let mock = MockProvider::start().await;
    let url = mock.base_url().replace("127.0.0.1", "localhost");
    let world = Setup::at(&url)
        .network(|network| network.allow_private_network = true)
        .start();
    assert_eq!(world.chat(&question()).await.status, 200);
}
