//! Sockets: TLS, the second listener, who may read metrics, and clients that hold on to a connection.

use std::path::Path;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::black_box::ADMIN_KEY;
use crate::plain_process::{Server, finish, tollgate};

/// Writes a certificate for 127.0.0.1 and its key, and returns a client that trusts only it.
fn certify(directory: &Path) -> reqwest::Client {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(directory.join("tls.crt"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
    let trusted = reqwest::Certificate::from_der(made.cert.der()).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap()
}

#[tokio::test]
async fn tls_is_served_and_a_new_certificate_is_taken_at_sighup() {
    let files = tempfile::TempDir::new().unwrap();
    let client = certify(files.path());
    let (cert, key) = (files.path().join("tls.crt"), files.path().join("tls.key"));
    let server = Server::start(|command| {
        command
            .env("TOLLGATE_TLS_CERT_FILE", &cert)
            .env("TOLLGATE_TLS_KEY_FILE", &key);
    })
    .await;
    let ready = format!("https://{}/health/ready", server.listen());
    assert_eq!(client.get(&ready).send().await.unwrap().status(), 200);

    let mut check = tollgate(&["healthcheck", "--data-dir"]);
    check
        .arg(server.data_dir())
        .env("TOLLGATE_TLS_CERT_FILE", &cert)
        .env("TOLLGATE_TLS_KEY_FILE", &key);
    assert_eq!(finish(&mut check).await.code, 0);

    let renewed = certify(files.path());
    server.signal(Signal::HUP);
    // A new connection each time: the old client's pool would keep its own.
    while renewed.get(&ready).send().await.is_err() {
        tokio::task::yield_now().await;
    }
    server.stop().await;
}

#[tokio::test]
async fn the_management_listener_takes_its_paths_along() {
    let server = Server::start(|command| {
        command.args(["--management-listen", "127.0.0.1:0"]);
    })
    .await;
    let client = reqwest::Client::new();
    let status = async |address: &str, path: &str| {
        let request = client
            .get(format!("http://{address}{path}"))
            .bearer_auth(ADMIN_KEY);
        request.send().await.unwrap().status().as_u16()
    };
    let (main, management) = (server.listen(), server.management_listen());
    for (path, on_main, on_management) in [
        ("/api/governance/access-profiles", 404, 200),
        ("/metrics", 404, 200),
        ("/v1/models", 401, 404),
        ("/health/ready", 200, 200),
        ("/openapi.json", 200, 200),
        ("/", 200, 200),
    ] {
        assert_eq!(status(&main, path).await, on_main, "{path} on main");
        assert_eq!(
            status(&management, path).await,
            on_management,
            "{path} on management"
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn metrics_behind_a_proxy_ask_for_the_token() {
    let server = Server::start(|command| {
        command.env("TOLLGATE_METRICS_TOKEN", "metrics-secret");
    })
    .await;
    let url = format!("http://{}/metrics", server.listen());
    let client = reqwest::Client::new();
    let forwarded = || client.get(&url).header("x-forwarded-for", "198.51.100.7");
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    assert_eq!(forwarded().send().await.unwrap().status(), 401);
    let authorized = forwarded().bearer_auth("metrics-secret");
    assert_eq!(authorized.send().await.unwrap().status(), 200);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_is_let_go() {
    let server = Server::start(|command| {
        command.env("TOLLGATE_HTTP_HEADER_TIMEOUT", "200ms");
    })
    .await;
    for beginning in ["", "P", "GET /health/live HTTP/1.1\r\nhost: x\r\n"] {
        let mut stream = TcpStream::connect(server.listen()).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // It returns when the server closes; a server that never does fails the test by its time limit.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{beginning}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let server = Server::start(|_| {}).await;
    let mut stream = TcpStream::connect(server.listen()).await.unwrap();
    let line = format!("x-filler: {}\r\n", "y".repeat(1_000));
    stream
        .write_all(b"GET /health/live HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    // The server may close while this still writes.
    for _ in 0..200 {
        if stream.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP/1.1 2"));
    server.stop().await;
}
