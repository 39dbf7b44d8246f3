//! A provider that answers at once and costs next to nothing, so that what a benchmark sees is the
//! proxy in front of it.
//!
//! One thread, HTTP/1.1 with keep-alive, written on sockets: a framework would cost more than the
//! proxies that are measured. It answers `POST` with a chat completion of about a kilobyte, or,
//! when the body asks for a stream, with as many events as it was told, each in a write of its own
//! as a real provider sends them.

use std::env;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const USAGE: &str = "usage: mock-upstream [--port N] [--chunks N] [--delay-us N] [--plain-bytes N]";
const MODEL_USAGE: &str = r#"{"prompt_tokens":21,"completion_tokens":64,"total_tokens":85,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}"#;

struct Options {
    port: u16,
    /// Content events of a stream, beside the first, the last, the usage and `[DONE]`.
    chunks: usize,
    /// Pause before each event.
    delay: Duration,
    /// Characters of text in a plain answer.
    plain_bytes: usize,
}

struct Answers {
    plain: Vec<u8>,
    head: Vec<u8>,
    events: Vec<Vec<u8>>,
    usage_event: Vec<u8>,
    end: Vec<u8>,
    delay: Duration,
}

#[expect(
    clippy::disallowed_methods,
    reason = "no shutdown to wait for: the benchmark ends it"
)]
#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = parse(env::args().skip(1)).ok_or_else(|| io::Error::other(USAGE))?;
    let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
    println!("listening on {}", listener.local_addr()?);
    let answers = Arc::new(Answers::new(&options));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        tokio::spawn(async move {
            // A client that goes away is the normal end of a connection.
            let _ = serve(stream, &answers).await;
        });
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        port: 0,
        chunks: 64,
        delay: Duration::ZERO,
        plain_bytes: 450,
    };
    while let Some(name) = args.next() {
        let value: u64 = args.next()?.parse().ok()?;
        match name.as_str() {
            "--port" => options.port = u16::try_from(value).ok()?,
            "--chunks" => options.chunks = usize::try_from(value).ok()?,
            "--delay-us" => options.delay = Duration::from_micros(value),
            "--plain-bytes" => options.plain_bytes = usize::try_from(value).ok()?,
            _ => return None,
        }
    }
    Some(options)
}

impl Answers {
    fn new(options: &Options) -> Self {
        let text =
            "All work and no play makes a dull gateway. ".repeat(options.plain_bytes / 43 + 1);
        let text = &text[..options.plain_bytes];
        let body = format!(
            r#"{{"id":"chatcmpl-0123456789abcdefghijklmn","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{MODEL_USAGE},"service_tier":"default","system_fingerprint":"fp_0123456789"}}"#
        );
        let plain = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: mock\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let event = |delta: &str, finish: &str, usage: &str| {
            chunk(&format!(
                r#"data: {{"id":"chatcmpl-0123456789abcdefghijklmn","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{finish}}}],"usage":{usage}}}"#
            ))
        };
        let mut events = vec![event(r#""role":"assistant","content":"""#, "null", "null")];
        events.extend((0..options.chunks).map(|_| event(r#""content":" token""#, "null", "null")));
        events.push(event("", r#""stop""#, "null"));
        let usage_event = chunk(&format!(
            r#"data: {{"id":"chatcmpl-0123456789abcdefghijklmn","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[],"usage":{MODEL_USAGE}}}"#
        ));
        let mut end = chunk("data: [DONE]");
        end.extend_from_slice(b"0\r\n\r\n");
        Self {
            plain: plain.into_bytes(),
            head: b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: mock\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
            events,
            usage_event,
            end,
            delay: options.delay,
        }
    }
}

/// One event in one chunk of the transfer encoding.
fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\n\n\r\n", event.len() + 2).into_bytes()
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let Some((head, length)) = read_head(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        while buffer.len() < head + length {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let body = &buffer[head..head + length];
        let asks_for_stream =
            contains(body, br#""stream":true"#) || contains(body, br#""stream": true"#);
        let asks_for_usage = contains(body, b"include_usage");
        buffer.drain(..head + length);
        if asks_for_stream {
            write_stream(&mut stream, answers, asks_for_usage).await?;
        } else {
            stream.write_all(&answers.plain).await?;
        }
    }
}

async fn write_stream(
    stream: &mut TcpStream,
    answers: &Answers,
    with_usage: bool,
) -> io::Result<()> {
    stream.write_all(&answers.head).await?;
    for event in &answers.events {
        if !answers.delay.is_zero() {
            tokio::time::sleep(answers.delay).await;
        }
        stream.write_all(event).await?;
    }
    if with_usage {
        stream.write_all(&answers.usage_event).await?;
    }
    stream.write_all(&answers.end).await
}

/// Reads up to the end of a request's head; returns its length and that of the body.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<(usize, usize)>> {
    loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]);
            let length = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                .and_then(|(_, value)| value.trim().parse().ok())
                .unwrap_or(0);
            return Ok(Some((end + 4, length)));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    find(haystack, needle).is_some()
}
