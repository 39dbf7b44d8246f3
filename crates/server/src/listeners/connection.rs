//! One connection: which protocol, how long its parts may take, and its end at shutdown.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tokio_util::task::TaskTracker;

use crate::lifecycle::Lifecycle;

/// Streams that one HTTP/2 connection may have open at once.
const MAX_STREAMS: u32 = 256;

/// How much of a connection a client may hold, and for how long.
pub(crate) struct ConnectionLimits {
    /// For a request's head to arrive, and for the next one on an idle connection.
    pub(crate) header_timeout: Duration,
    /// Longest time in which the client takes nothing.
    pub(crate) write_timeout: Duration,
    /// Largest head of a request, in bytes.
    pub(crate) max_header_bytes: usize,
}

/// What answers the requests of a listener.
pub(crate) trait Door: Send + Sync + 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers one request. Never fails: an error is an answer.
    fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Self::Body>> + Send;
}

/// Puts the tasks of HTTP/2 streams on the tracker, so that shutdown waits for them.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for Tracked {
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// Why a connection ends that would go on.
enum End {
    /// The client has never said a word.
    Silent,
    /// The process goes down.
    Soft,
}

pub(super) async fn serve_connection<S, D>(
    stream: S,
    peer: SocketAddr,
    door: Arc<D>,
    limits: Arc<ConnectionLimits>,
    lifecycle: Lifecycle,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
    D: Door,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_timeout));
    let has_asked = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let has_asked = has_asked.clone();
        move |request| {
            has_asked.store(true, Ordering::Relaxed);
            // On the heap: hyper moves the future about, and this one is large.
            let answer = Box::pin(door.clone().answer(request, peer));
            async move { Ok::<_, Infallible>(answer.await) }
        }
    });
    let mut builder = auto::Builder::new(Tracked(lifecycle.connections.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.max_header_bytes);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(limits.header_timeout)
        .keep_alive_timeout(limits.header_timeout);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));

    // Until the protocol is known hyper's own timers do not run; a client that never says a word is ended here.
    let silent = async {
        tokio::time::sleep(limits.header_timeout).await;
        if has_asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        End::Silent
    };
    let soft = async {
        lifecycle.soft.cancelled().await;
        End::Soft
    };
    // Looked at only when one of them has news: the connection has some with every piece that comes or goes.
    let mut ends = FuturesUnordered::from_iter([silent.left_future(), soft.right_future()]);
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        Some(end) = ends.next() => match end {
            End::Silent => return,
            End::Soft => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    result = connection.as_mut() => result,
                    () = lifecycle.hard.cancelled() => return,
                }
            }
        }
    };
    if let Err(error) = result {
        // Clients that hang up, and requests that are no HTTP: nothing that an operator could mend.
        tracing::debug!(error = %error, "connection ended");
    }
}
