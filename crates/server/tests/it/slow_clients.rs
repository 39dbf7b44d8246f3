//! Clients that take their time: with their body, with their answer, or by the hundred with nothing at all. They hold
//! neither money nor others up.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tollgate_testkit::provider::{Chat, End};

use crate::black_box::{Place, Stage, chat, cost};

fn head(stage: &Stage, length: usize) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
        stage.caller.key
    )
}

async fn connect(stage: &Stage) -> TcpStream {
    let address = stage.caller.url.trim_start_matches("http://");
    TcpStream::connect(address).await.unwrap()
}

#[tokio::test]
async fn body_that_does_not_come_is_given_up_before_anything_is_held() {
    let place = Place::new().with("TOLLGATE_HTTP_BODY_TIMEOUT", "200ms");
    let stage = Stage::at(place, 1.0, "bound").await;
    let body = chat("small", 5, false).to_string();
    for sent in [0, 1, body.len() - 1] {
        let mut stream = connect(&stage).await;
        let request = head(&stage, body.len()) + &body[..sent];
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 408 "), "{sent}: {answer}");
        assert!(answer.contains("\"request_timeout\""), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(stage.provider.exchange_count(), 0);
    assert_eq!(stage.caller.budget().await["reserved"].as_f64(), Some(0.0));
    assert_eq!(stage.caller.spent().await, 0);
}

#[tokio::test]
async fn client_that_does_not_read_its_stream_is_let_go_and_charged() {
    let place = Place::new().with("TOLLGATE_HTTP_WRITE_TIMEOUT", "300ms");
    let stage = Stage::at(place, 1.0, "estimate").await;
    // More than all buffers on the way take.
    let pieces = vec!["0123456789abcdef".repeat(1 << 16); 32];
    stage
        .provider
        .next(Chat::default().pieces(pieces).usage(30, 400));
    let body = chat("small", 500, true).to_string();
    let mut stream = connect(&stage).await;
    let request = head(&stage, body.len()) + &body;
    stream.write_all(request.as_bytes()).await.unwrap();
    stage.provider.wait_for_count(1).await;
    stage
        .provider
        .wait_until(|exchanges| exchanges[0].end != End::Running)
        .await;
    let spent = stage.caller.spent_when_idle().await;
    let billed = stage.provider.billed();
    assert!(spent >= cost(billed.input, billed.output), "{spent}");
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(
        !rest.ends_with(b"data: [DONE]\n\n\r\n0\r\n\r\n"),
        "it was not waited for"
    );
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn hundreds_that_say_nothing_hold_nobody_up() {
    let stage = Stage::new(1.0, "bound").await;
    let body = chat("small", 5, false).to_string();
    let mut idle = Vec::new();
    for number in 0..600 {
        let mut stream = connect(&stage).await;
        let beginning = match number % 3 {
            0 => String::new(),
            1 => "POST /v1/chat/comp".to_owned(),
            _ => head(&stage, body.len()) + &body[..9],
        };
        stream.write_all(beginning.as_bytes()).await.unwrap();
        idle.push(stream);
    }
    for is_stream in [false, true] {
        let answer = stage.caller.chat(&chat("small", 5, is_stream)).await;
        assert_eq!(answer.unwrap().status, 200);
    }
    // They leave in the middle of their bodies.
    drop(idle);
    let answer = stage.caller.chat(&chat("small", 5, false)).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(stage.provider.exchange_count(), 3);
    assert_eq!(stage.caller.spent_when_idle().await, 3 * cost(10, 3));
}
