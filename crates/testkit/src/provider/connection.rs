//! One connection: requests in, scripts out.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::books::{Books, End};
use super::request::ProviderRequest;
use super::script::{Script, Step};

/// Serves requests until the peer leaves or a script breaks off.
pub(super) async fn run(
    mut stream: TcpStream,
    decide: &(dyn Fn(&ProviderRequest) -> Script + Sync),
    books: &Books,
) -> io::Result<()> {
    // Each step is a segment of its own, as far as the kernel allows.
    stream.set_nodelay(true)?;
    let mut buffer = BytesMut::new();
    while let Some(request) = ProviderRequest::read(&mut stream, &mut buffer).await? {
        let script = decide(&request);
        let number = books.begin(request);
        let end = play(&mut stream, &mut buffer, &script, number, books)
            .await
            .unwrap_or(End::PeerLeft);
        books.end(number, end);
        if end != End::Finished {
            return Ok(());
        }
    }
    Ok(())
}

async fn play(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    script: &Script,
    number: usize,
    books: &Books,
) -> io::Result<End> {
    for step in &script.steps {
        match step {
            Step::Send(bytes) => stream.write_all(bytes).await?,
            Step::Bill(work) => books.bill(number, work),
            Step::Await(gate) => {
                tokio::select! {
                    biased;
                    () = gate.wait() => {}
                    () = peer_left(stream, buffer) => return Ok(End::PeerLeft),
                }
            }
            Step::Hang => {
                peer_left(stream, buffer).await;
                return Ok(End::PeerLeft);
            }
            Step::Reset => {
                stream.set_zero_linger()?;
                return Ok(End::Broken);
            }
            Step::Close => {
                stream.shutdown().await?;
                return Ok(End::Broken);
            }
        }
    }
    Ok(End::Finished)
}

async fn peer_left(stream: &mut TcpStream, buffer: &mut BytesMut) {
    while matches!(stream.read_buf(buffer).await, Ok(read) if read > 0) {}
}
