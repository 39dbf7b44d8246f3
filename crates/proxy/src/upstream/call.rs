//! One request on one connection, from sending it to the end of its answer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Response, response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;

use super::link::Link;
use super::origin::Origin;
use super::{UpstreamError, UpstreamRequest};

type Answer = Result<Response<Incoming>, TrySendError<UpstreamRequest>>;

/// A running request. Everything that is needed to go on is in here, so that it can be moved to another task when the
/// client leaves.
pub(crate) struct Call {
    /// Empty once it went back to the pool.
    link: Option<Box<Link>>,
    origin: Arc<Origin>,
    state: State,
    is_reused: bool,
}

enum State {
    Waiting(Pin<Box<dyn Future<Output = Answer> + Send>>),
    Body(Incoming),
    Ended,
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("origin", &self.origin)
            .field("is_reused", &self.is_reused)
            .finish_non_exhaustive()
    }
}

impl Call {
    pub(super) fn new(
        mut link: Box<Link>,
        request: UpstreamRequest,
        origin: Arc<Origin>,
        is_reused: bool,
    ) -> Self {
        let answer = Box::pin(link.sender.try_send_request(request));
        Self {
            link: Some(link),
            origin,
            state: State::Waiting(answer),
            is_reused,
        }
    }

    /// Whether the connection had served another request before.
    pub(crate) const fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Waits for status and headers. Cancel safe.
    ///
    /// # Errors
    /// There is no answer; [`UpstreamError::is_unsent`] tells whether the provider can know of the request.
    pub(crate) async fn head(&mut self) -> Result<response::Parts, UpstreamError> {
        std::future::poll_fn(|cx| self.poll_head(cx)).await
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<response::Parts, UpstreamError>> {
        if let Some(link) = &mut self.link {
            link.drive(cx);
        }
        let State::Waiting(answer) = &mut self.state else {
            return Poll::Pending;
        };
        match ready!(answer.as_mut().poll(&mut unheard())) {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                self.state = State::Body(body);
                // Takes our waker out of the body's channel, which would wake us for what we do ourselves.
                if let Some(link) = &mut self.link {
                    link.drive(&mut unheard());
                }
                Poll::Ready(Ok(parts))
            }
            Err(mut failure) => {
                self.state = State::Ended;
                self.link = None;
                let was_sent = failure.take_message().is_none();
                let error = failure.into_error();
                Poll::Ready(Err(if was_sent {
                    UpstreamError::from_hyper(error)
                } else {
                    UpstreamError::NotSent(error)
                }))
            }
        }
    }

    /// The next piece of the body, as it came; `None` at its end, when the connection has gone back to the pool.
    /// Call only after [`Self::head`] has succeeded.
    ///
    /// Body and connection talk through a channel, which wakes whoever waits at its other end. That is always this very
    /// task, which looks at both ends anyway; so the channel gets a waker that nobody hears, and only a connection that
    /// is about to be waited for gets the real one.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        let mut drives = 0;
        loop {
            let State::Body(body) = &mut self.state else {
                return Poll::Ready(None);
            };
            match Pin::new(body).poll_frame(&mut unheard()) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.state = State::Ended;
                    self.link = None;
                    return Poll::Ready(Some(Err(UpstreamError::from_hyper(error))));
                }
                Poll::Ready(None) => {
                    self.state = State::Ended;
                    self.recycle();
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let Some(link) = &mut self.link else {
                        return Poll::Pending;
                    };
                    match drives {
                        0 => link.drive(&mut unheard()),
                        1 => link.drive(cx),
                        _ => return Poll::Pending,
                    }
                    drives += 1;
                }
            }
        }
    }

    fn recycle(&mut self) {
        if let Some(mut link) = self.link.take()
            && link.is_idle()
        {
            self.origin.pool.put(link);
        }
    }
}

/// For whatever can only become ready by our own doing.
fn unheard() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
