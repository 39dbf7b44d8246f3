//! An upstream that speaks HTTP badly, or on purpose in a way that could be read in two ways: no client gets an answer
//! that is not its own, nothing is passed off as whole, and nothing that was sent is free.

use bytes::Bytes;
use serde_json::json;
use tollgate_testkit::provider::{Chat, Script, Step};

use crate::black_box::{Caller, Stage, bound, chat, cost, start};

const OWN: &str = r#"{"choices":[],"own":true,"usage":{"prompt_tokens":10,"completion_tokens":3}}"#;
const FORGED: &str =
    r#"{"choices":[],"forged":true,"usage":{"prompt_tokens":1,"completion_tokens":1}}"#;

fn answer(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}\r\n{body}")
}

fn whole(body: &str) -> String {
    answer(&format!("content-length: {}\r\n", body.len()), body)
}

fn sends(bytes: impl Into<Bytes>) -> Script {
    Script::default().send(bytes)
}

/// The next requests get their own answers, on whatever connection.
async fn assert_others_are_unharmed(stage: &Stage, case: &str) {
    stage.provider.always(Chat::default());
    for is_stream in [false, true] {
        let other = stage
            .caller
            .chat(&chat("small", 5, is_stream))
            .await
            .unwrap();
        assert_eq!(other.status, 200, "{case}: {other:?}");
        assert!(other.text.contains("Hello"), "{case}: {other:?}");
        assert!(!other.text.contains("forged"), "{case}: {other:?}");
    }
}

#[tokio::test]
async fn answers_that_are_no_http_are_errors_and_are_charged() {
    let stage = Stage::new(1.0, "bound").await;
    let lines = |count: usize| "x-filler: y\r\n".repeat(count);
    for (case, bytes) in [
        (
            "a header of a megabyte",
            format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(1 << 20)),
        ),
        (
            "endless headers",
            format!("HTTP/1.1 200 OK\r\n{}", lines(100_000)),
        ),
        ("a thousand headers", answer(&lines(1_000), OWN)),
        ("no version", "200 OK\r\n\r\n".to_owned()),
        ("a version of its own", "HTTP/7.3 200 OK\r\n\r\n".to_owned()),
        ("a status of its own", "HTTP/1.1 2000 OK\r\n\r\n".to_owned()),
        ("a header without a name", answer(": x\r\n", OWN)),
        ("a zero byte in a header", answer("x: \0\r\n", OWN)),
        (
            "two lengths",
            answer("content-length: 5\r\ncontent-length: 70\r\n", OWN),
        ),
        (
            "a length that is none",
            answer("content-length: x\r\n", OWN),
        ),
        ("a negative length", answer("content-length: -5\r\n", OWN)),
        (
            "a chunk without a size",
            answer("transfer-encoding: chunked\r\n", "zz\r\n{}\r\n"),
        ),
        (
            "a chunk of all memory",
            answer("transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\n{"),
        ),
        (
            "another protocol",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"
                .to_owned(),
        ),
        (
            "a redirect",
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
        ),
        (
            "half of the length",
            answer("content-length: 5000\r\n", OWN),
        ),
        (
            "half of a chunk",
            answer("transfer-encoding: chunked\r\n", "ff\r\n{\"choices\""),
        ),
        (
            "no end of the chunks",
            answer("transfer-encoding: chunked\r\n", "2\r\n{}\r\n"),
        ),
    ] {
        for is_stream in [false, true] {
            let before = stage.caller.spent_when_idle().await;
            stage.provider.next(sends(bytes.clone()).then(Step::Close));
            let body = chat("small", 5, is_stream);
            // The head of a stream may be out before its body turns out to be none.
            if let Ok(answer) = stage.caller.chat(&body).await {
                let is_error = answer.status == 502 && answer.code() == "upstream_error";
                let says_so = is_stream && answer.text.contains("\"upstream_error\"");
                assert!(
                    is_error || says_so,
                    "{case}, stream {is_stream}: {answer:?}"
                );
                assert!(!answer.text.contains("[DONE]"), "{case}: {answer:?}");
            }
            let spent = stage.caller.spent_when_idle().await - before;
            let most = bound(body.to_string().len(), 5);
            // An error status costs nothing.
            let is_free = ["a redirect", "another protocol"].contains(&case);
            assert!(
                if is_free {
                    spent == 0
                } else {
                    spent > 0 && spent <= most
                },
                "{case}, stream {is_stream}: {spent} of {most}"
            );
        }
        assert_others_are_unharmed(&stage, case).await;
    }
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    let stage = Stage::with_a_dollar().await;
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
    stage
        .provider
        .next(sends(format!("{interim}{}", whole(OWN))));
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(
        (answer.status, answer.text.as_str()),
        (200, OWN),
        "{answer:?}"
    );
    assert_eq!(stage.caller.spent_when_idle().await, cost(10, 3));
    assert_others_are_unharmed(&stage, "interim answers").await;
}

#[tokio::test]
async fn interim_answers_without_end_are_given_up() {
    let network = json!({"default_request_timeout_in_seconds": 1});
    let provider = tollgate_testkit::provider::MockProvider::start().await;
    let gateway = start().await;
    let caller = Caller::behind(&gateway, &provider.base_url(), 1.0, "bound", network).await;
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(10_000);
    provider.next(sends(interim).then(Step::Hang));
    let body = chat("small", 5, false);
    let answer = caller.chat(&body).await.unwrap();
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (504, "upstream_error")
    );
    assert_eq!(
        caller.spent_when_idle().await,
        bound(body.to_string().len(), 5)
    );
}

/// A connection on which more came than was asked for is not used again.
#[tokio::test]
async fn bytes_behind_an_answer_are_nobodys_answer() {
    let stage = Stage::with_a_dollar().await;
    for (case, bytes) in [
        (
            "a second answer",
            format!("{}{}", whole(OWN), whole(FORGED)),
        ),
        (
            "a length that is too short",
            format!("{}}}{}", whole(&OWN[..OWN.len() - 1]), whole(FORGED)),
        ),
        (
            "an answer behind the last chunk",
            format!(
                "{}{}",
                answer(
                    "transfer-encoding: chunked\r\n",
                    &format!("{:x}\r\n{OWN}\r\n0\r\n\r\n", OWN.len())
                ),
                whole(FORGED)
            ),
        ),
    ] {
        for _ in 0..3 {
            stage.provider.next(sends(bytes.clone()));
            let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
            assert!(!answer.text.contains("forged"), "{case}: {answer:?}");
            assert_others_are_unharmed(&stage, case).await;
        }
    }
}

#[tokio::test]
async fn old_and_plain_answers_are_taken_for_what_they_are() {
    let stage = Stage::with_a_dollar().await;
    let stale = "HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n";
    let chunked = answer(
        "transfer-encoding: chunked\r\n",
        &format!(
            "{:x};ext=1\r\n{OWN}\r\n0\r\nx-trailer: y\r\n\r\n",
            OWN.len()
        ),
    );
    for (case, bytes) in [
        ("version 1.0 until the end", format!("{stale}{OWN}")),
        ("chunks with extensions and trailers", chunked),
        (
            "no type",
            format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{OWN}",
                OWN.len()
            ),
        ),
    ] {
        let before = stage.caller.spent_when_idle().await;
        stage.provider.next(sends(bytes).then(Step::Close));
        let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (200, OWN),
            "{case}: {answer:?}"
        );
        let spent = stage.caller.spent_when_idle().await - before;
        assert_eq!(spent, cost(10, 3), "{case}");
    }
    assert_others_are_unharmed(&stage, "old and plain").await;
}
