//! Over a real socket, as the server uses it: hyper tells us of clients that leave.

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tollgate_testkit::entities::key_text;
use tollgate_testkit::provider::{Chat, Gate};

use crate::harness::{World, question, streamed_question, within, world};

/// Serves one connection and gives the client's end of it.
async fn connect(world: &World, server: &mut JoinSet<()>) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let proxy = world.proxy.clone();
    let service = hyper::service::service_fn(move |request| {
        let proxy = proxy.clone();
        async move { Ok::<_, std::convert::Infallible>(proxy.serve(request).await) }
    });
    server.spawn(async move {
        // A client that leaves is an error here, and the point of the test.
        let _ = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    });
    client
}

fn request(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
        key_text("ada"),
        body.len()
    )
}

async fn read_until(client: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    loop {
        let read = within(client.read_buf(&mut all)).await.unwrap();
        let so_far = String::from_utf8_lossy(&all);
        if so_far.contains(text) {
            return so_far.into_owned();
        }
        assert!(read > 0, "the end came before `{text}`: {so_far}");
    }
}

#[tokio::test]
async fn stream_arrives_chunked_and_the_connection_lives_on() {
    let (world, _mock) = world().await;
    let mut server = JoinSet::new();
    let mut client = connect(&world, &mut server).await;
    for _ in 0..2 {
        let sent = request(&streamed_question().to_string());
        client.write_all(sent.as_bytes()).await.unwrap();
        let got = read_until(&mut client, "\r\n0\r\n\r\n").await;
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"));
        assert!(got.contains("data: [DONE]"));
    }
    let sent = request(&question().to_string());
    client.write_all(sent.as_bytes()).await.unwrap();
    let got = read_until(&mut client, "Hello there!").await;
    assert!(got.contains("x-tollgate-cost-usd: 0.000016"));
}

#[tokio::test]
async fn client_that_closes_its_socket_is_settled() {
    for is_stream in [false, true] {
        let (world, mock) = world().await;
        let gate = Gate::new();
        mock.always(Chat::default().gated(&gate));
        let mut server = JoinSet::new();
        let mut client = connect(&world, &mut server).await;
        let body = if is_stream {
            streamed_question()
        } else {
            question()
        };
        client
            .write_all(request(&body.to_string()).as_bytes())
            .await
            .unwrap();
        mock.wait_for(1).await;
        if is_stream {
            read_until(&mut client, "data: ").await;
        }
        drop(client);
        within(server.join_next()).await.unwrap().unwrap();
        gate.open();
        world.settle_down().await;
        assert_eq!(world.spent(), 16_000);
    }
}
