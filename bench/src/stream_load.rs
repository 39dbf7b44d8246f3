//! Keeps a number of connections busy with streamed chat requests, and says how long they took.
//!
//! What a general load generator does not tell: when the first event came, and whether every
//! stream was whole. One thread on bare sockets, so that it takes little of the machine that the
//! proxy under test is measured on. Prints one line of JSON.

use std::env;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

const USAGE: &str =
    "usage: stream-load --port N [--connections N] [--seconds N] [--header 'name: value']… < body";
/// The end of a whole stream in chunked transfer encoding, whoever framed it.
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
const LAST_EVENT: &[u8] = b"data: [DONE]";

struct Options {
    port: u16,
    connections: usize,
    duration: Duration,
    headers: String,
}

/// Microseconds of one stream.
struct Sample {
    first_event: u128,
    whole: u128,
}

#[expect(clippy::disallowed_methods, reason = "every task is joined below")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let options = parse(env::args().skip(1)).ok_or_else(|| io::Error::other(USAGE))?;
    let body = io::read_to_string(io::stdin())?;
    let request: Arc<[u8]> = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{}content-length: {}\r\n\r\n{body}",
        options.headers,
        body.len()
    )
    .into_bytes()
    .into();
    let deadline = Instant::now() + options.duration;
    let started = Instant::now();
    let workers: Vec<_> = (0..options.connections)
        .map(|_| tokio::spawn(keep_busy(options.port, request.clone(), deadline)))
        .collect();
    let mut samples = Vec::new();
    for worker in workers {
        samples.extend(worker.await.map_err(io::Error::other)??);
    }
    let seconds = started.elapsed().as_secs_f64();
    print(samples, seconds)
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options {
        port: 0,
        connections: 32,
        duration: Duration::from_secs(5),
        headers: String::new(),
    };
    while let Some(name) = args.next() {
        let value = args.next()?;
        match name.as_str() {
            "--port" => options.port = value.parse().ok()?,
            "--connections" => options.connections = value.parse().ok()?,
            "--seconds" => options.duration = Duration::from_secs_f64(value.parse().ok()?),
            "--header" => options.headers.extend([value.as_str(), "\r\n"]),
            _ => return None,
        }
    }
    (options.port != 0).then_some(options)
}

async fn keep_busy(port: u16, request: Arc<[u8]>, deadline: Instant) -> io::Result<Vec<Sample>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut samples = Vec::new();
    let mut buffer = Vec::with_capacity(64 * 1024);
    while Instant::now() < deadline {
        let started = Instant::now();
        stream.write_all(&request).await?;
        let first_event = read_answer(&mut stream, &mut buffer).await?;
        samples.push(Sample {
            first_event: (first_event - started).as_micros(),
            whole: started.elapsed().as_micros(),
        });
    }
    Ok(samples)
}

/// Reads one answer to its end and returns when its first event had come.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Instant> {
    buffer.clear();
    let mut first_event = None;
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err(broken("the connection was closed within an answer", buffer));
        }
        if first_event.is_none() && contains(buffer, b"data: ") {
            if !buffer.starts_with(b"HTTP/1.1 200 ") {
                return Err(broken("an answer is not 200", buffer));
            }
            first_event = Some(Instant::now());
        }
        if buffer.ends_with(LAST_CHUNK) {
            let tail = &buffer[buffer.len().saturating_sub(64)..];
            return match first_event {
                Some(at) if contains(tail, LAST_EVENT) => Ok(at),
                _ => Err(broken("a stream is not whole", buffer)),
            };
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn broken(what: &str, buffer: &[u8]) -> io::Error {
    let start = String::from_utf8_lossy(&buffer[..buffer.len().min(500)]).into_owned();
    io::Error::other(format!("{what}: {start}"))
}

fn print(samples: Vec<Sample>, seconds: f64) -> io::Result<()> {
    let count = samples.len();
    if count == 0 {
        return Err(io::Error::other("no stream ended in time"));
    }
    let (mut first, mut whole): (Vec<u128>, Vec<u128>) = samples
        .into_iter()
        .map(|sample| (sample.first_event, sample.whole))
        .unzip();
    first.sort_unstable();
    whole.sort_unstable();
    let at = |sorted: &[u128], percent: usize| sorted[(count - 1) * percent / 100];
    println!(
        r#"{{"requests": {count}, "seconds": {seconds}, "first_p50_us": {}, "p50_us": {}, "p99_us": {}}}"#,
        at(&first, 50),
        at(&whole, 50),
        at(&whole, 99),
    );
    Ok(())
}
