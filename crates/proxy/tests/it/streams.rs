//! Streamed answers.

use bytes::Bytes;
use http_body::Body as _;
use serde_json::json;
use tollgate_domain::access::profile::Reservation;
use tollgate_domain::limits::MeterKind;
use tollgate_testkit::provider::{Chat, Fault, Gate, MockProvider, Script, Step};

use crate::harness::{Setup, chat, next, streamed_question, world};

const COST_NANOS: i64 = 16_000;

fn stream() -> Script {
    Script::chunked(200, &[("content-type", "text/event-stream")])
}

#[tokio::test]
async fn stream_passes_without_the_usage_that_nobody_asked_for() {
    let (world, mock) = world().await;
    let answer = world.chat(&streamed_question()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/event-stream");
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert!(!answer.text().contains("prompt_tokens"));
    assert!(mock.exchanges()[0].request.asks_for_usage());
    assert_eq!(world.spent(), COST_NANOS);
}

#[tokio::test]
async fn usage_is_passed_on_to_those_who_asked() {
    let (world, _mock) = world().await;
    let mut question = streamed_question();
    question["stream_options"] = json!({"include_usage": true});
    let answer = world.chat(&question).await;
    assert!(answer.text().contains("\"prompt_tokens\":10"));
    assert_eq!(world.spent(), COST_NANOS);
}

#[tokio::test]
async fn bytes_of_a_stream_are_the_providers_own() {
    let (world, mock) = world().await;
    let events = [
        "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\n",
        ": a comment\n\n",
        "event: x\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"}}],\n",
        "data: \"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3}}\n\n",
        "data: [DONE]\n\n",
    ];
    let mut script = stream();
    for event in events {
        for piece in event.as_bytes().chunks(7) {
            script = script.chunk(piece);
        }
    }
    mock.always(script.last_chunk());
    let answer = world.chat(&streamed_question()).await;
    assert_eq!(answer.text(), events.concat());
    assert_eq!(world.spent(), COST_NANOS);
}

#[tokio::test]
async fn chunks_pass_as_they_come_and_the_end_waits_for_settlement() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    mock.always(Chat::default().gated(&gate));
    let response = world.send(chat(&streamed_question())).await;
    let mut body = response.into_body();
    assert!(next(&mut body).await.unwrap().starts_with(b"data: "));
    gate.pass(1);
    let piece = next(&mut body).await.unwrap();
    assert_eq!(piece.windows(5).filter(|word| *word == b"Hello").count(), 1);
    assert!(world.count(MeterKind::Money).reserved > 0);
    assert!(!body.is_end_stream());
    gate.open();
    let mut rest = Vec::new();
    while let Some(piece) = next(&mut body).await {
        if piece.windows(6).any(|word| word == b"[DONE]") {
            assert_eq!(world.spent(), COST_NANOS);
        }
        rest.extend_from_slice(&piece);
    }
    assert!(rest.ends_with(b"data: [DONE]\n\n"));
}

#[tokio::test]
async fn connection_of_a_finished_stream_is_used_again() {
    let (world, mock) = world().await;
    for _ in 0..3 {
        world.chat(&streamed_question()).await;
    }
    let exchanges = mock.exchanges();
    assert!(
        exchanges
            .iter()
            .all(|exchange| exchange.request.peer_port == exchanges[0].request.peer_port)
    );
}

/// The output by the text, the input as it was estimated; where that was a bound, by the size of the body.
#[tokio::test]
async fn stream_without_usage_is_counted() {
    for reservation in [Reservation::Estimate, Reservation::Bound] {
        let mock = MockProvider::start().await;
        let world = Setup::at(&mock.base_url())
            .copy(|copy| copy.settings.reservation = reservation)
            .start();
        mock.always(Chat::default().without_usage());
        let mut question = streamed_question();
        question["max_tokens"] = 100.into();
        // The estimate of an input is one token more than our own count where the size leaves nothing over.
        while !question.to_string().len().is_multiple_of(4) {
            let user = question["user"].as_str().unwrap_or_default();
            question["user"] = format!("{user}a").into();
        }
        let size = i64::try_from(question.to_string().len()).unwrap();
        let mut body = world.send(chat(&question)).await.into_body();
        let held = world.count(MeterKind::Money).reserved;
        while next(&mut body).await.is_some() {}
        let input = match reservation {
            Reservation::Estimate => held - 100 * 2_000,
            Reservation::Bound => size / 4 * 1_000,
        };
        // Three tokens of output by our count, at 2,000 nano-dollars.
        assert_eq!(world.spent(), input + 3 * 2_000, "{reservation:?}");
    }
}

#[tokio::test]
async fn broken_stream_says_so_in_an_event_and_is_charged_for_what_came() {
    for fault in [Fault::Reset, Fault::Close, Fault::HalfEvent, Fault::Hang] {
        let (world, mock) = world().await;
        mock.always(Chat::default().broken_after(1, fault.clone()));
        let answer = world.chat(&streamed_question()).await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        let last = text.trim_end().rsplit("\n\n").next().unwrap();
        let error: serde_json::Value =
            serde_json::from_str(last.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(error["error"]["code"], "upstream_error", "{fault:?}");
        assert!(text.contains("Hello") && !text.contains("[DONE]"));
        let input = world.spent() - 2 * 2_000;
        assert!(input > 0 && input % 1_000 == 0, "{fault:?}: {input}");
        assert_eq!(world.stats().open, 0);
    }
}

#[tokio::test]
async fn garbage_between_events_passes_and_harms_nobody() {
    let (world, mock) = world().await;
    let garbage = Bytes::from_static(b"\xff\xfe{{{ not an event\n\n");
    mock.always(Chat::default().broken_after(1, Fault::Garbage(garbage.clone())));
    let answer = world.chat(&streamed_question()).await;
    assert!(
        answer
            .body
            .windows(garbage.len())
            .any(|window| window == garbage)
    );
    assert_eq!(world.spent(), COST_NANOS);
}

#[tokio::test]
async fn early_end_without_a_terminal_event_is_settled() {
    let (world, mock) = world().await;
    mock.always(Chat::default().broken_after(2, Fault::EarlyEnd));
    let answer = world.chat(&streamed_question()).await;
    assert!(answer.text().contains("there"));
    assert!(world.spent() > 0);
}

#[tokio::test]
async fn event_that_is_too_large_to_read_passes() {
    let (world, mock) = world().await;
    let huge = "x".repeat(3 << 20);
    let script = stream()
        .chunk(
            format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{huge}\"}}}}]}}\n\n")
                .as_bytes(),
        )
        .chunk(b"data: [DONE]\n\n")
        .last_chunk();
    mock.always(script);
    let answer = world.chat(&streamed_question()).await;
    assert!(answer.body.len() > huge.len());
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert!(world.count(MeterKind::Tokens).used > (3 << 18));
}

#[tokio::test]
async fn provider_that_answers_a_stream_with_plain_json_is_collected() {
    let (world, mock) = world().await;
    let body = json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3}});
    mock.always(Script::json(200, &body));
    let answer = world.chat(&streamed_question()).await;
    assert_eq!(answer.json(), body);
    assert_eq!(answer.header("x-tollgate-cost-usd"), "0.000016");
    assert_eq!(world.spent(), COST_NANOS);
}

/// A provider that gave up before its first word may have thought for a minute: nobody knows what that costs.
#[tokio::test]
async fn stream_that_breaks_before_its_first_word_is_charged_in_doubt() {
    for step in [Step::Reset, Step::Close] {
        let (world, mock) = world().await;
        mock.always(stream().chunk(b": thinking\n\n").then(step));
        let answer = world.chat(&streamed_question()).await;
        assert!(answer.text().contains("upstream_error"), "{answer:?}");
        assert_eq!(world.stats().in_doubt, 1);
        assert!(world.spent() > 0);
    }
}

fn words(count: usize) -> Bytes {
    let text = "word ".repeat(count);
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    Bytes::from(event)
}

/// Of a model that thinks unseen the text is the smaller part, so the hold stands for it; unless the text alone is more.
#[tokio::test]
async fn broken_stream_of_a_model_that_reasons_unseen_is_charged_what_was_held_or_more() {
    for (count, in_doubt) in [(1, 1), (4_000, 0)] {
        let (world, mock) = world().await;
        mock.always(stream().chunk(&words(count)).then(Step::Reset));
        let mut question = streamed_question();
        question["model"] = "mock/thinker".into();
        let mut body = world.send(chat(&question)).await.into_body();
        let held = world.count(MeterKind::Money).reserved;
        while next(&mut body).await.is_some() {}
        assert_eq!(world.stats().in_doubt, in_doubt, "{count}");
        if in_doubt == 1 {
            assert_eq!(world.spent(), held);
        } else {
            // 20,000 bytes, 5,000 tokens of two thousand nano-dollars.
            assert!(world.spent() > 10_000_000 && world.spent() > held);
        }
    }
}

/// What is not metered is not delivered.
#[tokio::test]
async fn nothing_passes_behind_the_end_of_a_stream() {
    let (world, mock) = world().await;
    let gate = Gate::new();
    let script = stream()
        .chunk(&words(1))
        .chunk(b"data: [DONE]\n\n")
        .then(Step::Await(gate.clone()))
        .chunk(&words(1_000))
        .last_chunk();
    mock.always(script);
    let mut body = world.send(chat(&streamed_question())).await.into_body();
    let mut text = Vec::new();
    while !text.ends_with(b"[DONE]\n\n") {
        text.extend_from_slice(&next(&mut body).await.unwrap());
    }
    let spent = world.spent();
    gate.open();
    assert_eq!(next(&mut body).await, None);
    assert_eq!(world.spent(), spent);
    // The provider's connection came to a good end all the same.
    world.chat(&streamed_question()).await;
    let exchanges = mock.exchanges();
    assert_eq!(
        exchanges[0].request.peer_port,
        exchanges[1].request.peer_port
    );
}

/// Also when it comes along with the end: the charge and the answer do not depend on how packets are cut.
#[tokio::test]
async fn what_comes_along_with_the_end_is_neither_charged_nor_passed_on() {
    let report =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":900,\"completion_tokens\":900}}\n\n";
    let end = "data: [DONE]\n\n";
    let mut spent = Vec::new();
    for pieces in [
        vec![end.to_owned() + report],
        vec![end.into(), report.into()],
    ] {
        let (world, mock) = world().await;
        let script = pieces
            .iter()
            .fold(stream().chunk(&words(1)), |script, piece| {
                script.chunk(piece.as_bytes())
            });
        mock.always(script.last_chunk());
        let answer = world.chat(&streamed_question()).await;
        assert_eq!(
            answer.text().as_bytes(),
            [&words(1), end.as_bytes()].concat()
        );
        spent.push(world.spent());
    }
    assert_eq!(spent[0], spent[1]);
    assert!(spent[0] < 900_000, "{spent:?}");
}

#[tokio::test(start_paused = true)]
async fn provider_that_never_ends_after_its_last_event_is_not_waited_for() {
    let mock = MockProvider::start().await;
    let world = Setup::at(&mock.base_url())
        .network(|network| network.idle_timeout = std::time::Duration::from_secs(500))
        .start();
    mock.always(stream().chunk(b"data: [DONE]\n\n").then(Step::Hang));
    let answer = world.chat(&streamed_question()).await;
    assert_eq!(answer.text(), "data: [DONE]\n\n");
}
