//! One connection: the half that takes requests and the half that does the work, kept together.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{Connection, SendRequest};

use super::io::Io;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) sender: SendRequest<Full<Bytes>>,
    connection: Connection<Io, Full<Bytes>>,
    is_finished: bool,
}

impl Link {
    pub(super) const fn new(
        sender: SendRequest<Full<Bytes>>,
        connection: Connection<Io, Full<Bytes>>,
    ) -> Self {
        Self {
            sender,
            connection,
            is_finished: false,
        }
    }

    /// Lets the connection read and write what it can. Its own error is of no interest: whoever waits for an answer or a
    /// part of one gets it there.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.is_finished
            && let Poll::Ready(_closed) = Pin::new(&mut self.connection).poll(cx)
        {
            self.is_finished = true;
        }
    }

    /// Whether it is open and waits for a request. Looks at the socket, without asking to be woken by it.
    pub(super) fn is_idle(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.is_finished && self.sender.is_ready()
    }
}
