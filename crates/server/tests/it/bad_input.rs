//! Requests that are wrong: refused with a clear error, before the upstream hears of them, and nothing is charged.

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::black_box::{Stage, chat};

/// Refused in the dialect of the route, with this status and code.
async fn check(stage: &Stage, content_type: &str, body: Vec<u8>, status: u16, code: &str) {
    let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
    let answer = stage.caller.raw(content_type, body).await;
    assert_eq!(answer.status, status, "{shown}: {answer:?}");
    assert_eq!(answer.code(), code, "{shown}: {answer:?}");
    let error = &answer.json()["error"];
    assert!(
        error["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert!(!answer.header("x-request-id").is_empty());
}

async fn assert_untouched(stage: &Stage) {
    assert_eq!(
        stage.provider.exchanges().len(),
        0,
        "nothing was dispatched"
    );
    assert_eq!(stage.caller.spent_when_idle().await, 0);
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let stage = Stage::with_a_dollar().await;
    let deep = |open: &str, close: &str| {
        format!(
            "{{\"model\":\"mock/small\",\"x\":{}{}}}",
            open.repeat(200_000),
            close.repeat(200_000)
        )
    };
    let bodies: Vec<Vec<u8>> = vec![
        b"".into(),
        b" ".into(),
        b"{".into(),
        b"null".into(),
        b"[]".into(),
        b"\"mock/small\"".into(),
        b"{}".into(),
        b"{\"model\":\"mock/small\"".into(),
        b"{\"model\":\"mock/small\",}".into(),
        b"{\"model\":\"mock/small\"} trailing".into(),
        b"{\"model\":\"mock/small\"}{\"model\":\"mock/small\"}".into(),
        b"{'model':'mock/small'}".into(),
        b"{\"model\":NaN}".into(),
        b"\xef\xbb\xbf\xff{\"model\":\"mock/small\"}".into(),
        b"{\"model\":\"mock/sm\xffall\"}".into(),
        b"{\"model\":\"mock/small\",\"user\":\"\xc3\x28\"}".into(),
        b"{\"model\":\"mock/small\",\"user\":\"\x00\"}".into(),
        deep("[", "]").into(),
        deep("{\"a\":", "}").replace("}}}", "1}}}").into(),
        deep("[", "").into(),
    ];
    for body in bodies {
        check(&stage, "application/json", body, 400, "invalid_request").await;
    }
    assert_untouched(&stage).await;
}

#[tokio::test]
async fn governed_fields_of_the_wrong_kind_are_refused() {
    let stage = Stage::with_a_dollar().await;
    for (field, value) in [
        ("model", json!(7)),
        ("model", json!(null)),
        ("model", json!("")),
        ("model", json!(["mock/small"])),
        ("stream", json!("yes")),
        ("stream", json!(1)),
        ("max_tokens", json!(-1)),
        ("max_tokens", json!("5")),
        ("max_tokens", json!(1.5)),
        ("max_tokens", json!(1e30)),
        ("max_completion_tokens", json!({})),
        ("n", json!(0)),
        ("n", json!(-3)),
        ("n", json!("2")),
        ("stream_options", json!("on")),
    ] {
        let mut body = chat("small", 5, false);
        body[field] = value;
        let body = body.to_string().into_bytes();
        check(&stage, "application/json", body, 400, "invalid_request").await;
    }
    assert_untouched(&stage).await;
}

#[tokio::test]
async fn ways_around_the_check_are_refused() {
    let stage = Stage::with_a_dollar().await;
    for second in [
        r#""model":"mock/other""#,
        r#""Model":"mock/other""#,
        r#""MODEL":"mock/other""#,
        r#""mod\u0065l":"mock/other""#,
        r#""stream":true,"stream":false"#,
        r#""Stream":true"#,
        r#""STREAM_OPTIONS":{}"#,
        r#""max_tokens":1,"max_tokens":100000"#,
        r#""Max_Tokens":100000"#,
        r#""max_completion_tokens":5,"max_completion_tokens":100000"#,
        r#""n":1,"N":50"#,
        r#""n":1,"n":50"#,
    ] {
        for body in [
            format!(r#"{{"model":"mock/small","messages":[],{second}}}"#),
            format!(r#"{{{second},"messages":[],"model":"mock/small"}}"#),
        ] {
            let body = body.into_bytes();
            check(&stage, "application/json", body, 400, "invalid_request").await;
        }
    }
    assert_untouched(&stage).await;
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let stage = Stage::with_a_dollar().await;
    let body = || chat("small", 5, false).to_string().into_bytes();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json-seq",
        "nonsense",
    ] {
        check(&stage, content_type, body(), 415, "unsupported_media_type").await;
    }
    assert_untouched(&stage).await;
    for content_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
    ] {
        let answer = stage.caller.raw(content_type, body()).await;
        assert_eq!(answer.status, 200, "{content_type}: {answer:?}");
    }
}

#[tokio::test]
async fn compressed_bodies_are_refused() {
    let stage = Stage::with_a_dollar().await;
    let request = stage
        .caller
        .request("/v1/chat/completions")
        .header("content-encoding", "gzip")
        .header("content-type", "application/json")
        .body(chat("small", 5, false).to_string());
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_untouched(&stage).await;
}

#[tokio::test]
async fn body_over_the_limit_is_refused_whether_announced_or_not() {
    let stage = Stage::with_a_dollar().await;
    let mut body = chat("small", 5, false);
    body["messages"][0]["content"] = Value::String("x".repeat(34 << 20));
    let body = body.to_string().into_bytes();
    let announced = raw_request(&stage, &format!("content-length: {}\r\n", body.len()), &[]).await;
    assert!(announced.starts_with("HTTP/1.1 413 "), "{announced}");
    assert!(announced.contains("body_too_large"), "{announced}");
    let mut chunked = format!("{:x}\r\n", body.len()).into_bytes();
    chunked.extend_from_slice(&body);
    let unannounced = raw_request(&stage, "transfer-encoding: chunked\r\n", &chunked).await;
    assert!(unannounced.starts_with("HTTP/1.1 413 "), "{unannounced}");
    assert_untouched(&stage).await;
}

#[tokio::test]
async fn requests_that_two_servers_could_read_in_two_ways_are_refused() {
    let stage = Stage::with_a_dollar().await;
    for headers in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "content-length: +5\r\n",
        "transfer-encoding: identity, chunked, gzip\r\n",
        "content-length: 5\r\nx : y\r\n",
    ] {
        let answer = raw_request(&stage, headers, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n").await;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(
            status.is_empty() || status.starts_with('4'),
            "{headers:?}: {answer}"
        );
        assert_eq!(
            answer.matches("HTTP/1.1 ").count().min(2),
            usize::from(!status.is_empty())
        );
    }
    assert_untouched(&stage).await;
}

/// Sends a chat request with these headers and bytes as they are, and returns what comes until the connection ends.
async fn raw_request(stage: &Stage, headers: &str, body: &[u8]) -> String {
    let address = stage.caller.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\nconnection: close\r\n{headers}\r\n",
        stage.caller.key
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The answer may come, and the connection end, before all of the body was taken.
    let (mut reader, mut writer) = stream.split();
    let mut answer = Vec::new();
    let (_, _) = tokio::join!(writer.write_all(body), reader.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn encoded_paths_do_not_reach_another_route() {
    let stage = Stage::with_a_dollar().await;
    for path in [
        "/v1/chat%2Fcompletions",
        "/v1/%63hat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/V1/chat/completions",
        "/v1/chat/completions/",
        "/v1/chat/completions;a=b",
        "/v1/chat/completions%00",
    ] {
        let address = stage.caller.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let body = chat("small", 5, false).to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n{body}",
            stage.caller.key,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        assert!(answer.contains("\"not_found\""), "{path}: {answer}");
    }
    assert_untouched(&stage).await;
}

#[tokio::test]
async fn request_that_never_ends_is_forgotten_with_its_client() {
    let stage = Stage::with_a_dollar().await;
    let address = stage.caller.url.trim_start_matches("http://");
    for part in [
        "POST /v1/chat",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        drop(stream);
    }
    assert_untouched(&stage).await;
}

/// A pooled connection that ends without a word fails the client's next request.
#[tokio::test]
async fn a_refusal_before_the_body_was_read_says_that_the_connection_ends() {
    let stage = Stage::with_a_dollar().await;
    let address = stage.caller.url.trim_start_matches("http://");
    for (path, status) in [
        ("/v1/chat/completions", "401"),
        ("/v1/nowhere", "404"),
        ("/api/governance/users", "401"),
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 50000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(
            answer.starts_with(&format!("http/1.1 {status}")),
            "{answer}"
        );
        assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    }
}
