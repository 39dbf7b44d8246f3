//! Where an answer comes from: a provider on the network, or the built-in one.

use std::task::{Context, Poll};

use bytes::Bytes;
use http::response;
use tollgate_llm::sandbox::SandboxBody;

use crate::upstream::{Call, UpstreamError};

#[derive(Debug)]
pub(crate) enum Source {
    Upstream(Call),
    Sandbox(Sandbox),
}

/// The built-in provider's answer. Its events come one by one, as they would from the network.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) head: Option<response::Parts>,
    pub(crate) body: SandboxBody,
    pub(crate) is_resting: bool,
}

impl Source {
    /// Waits for status and headers. Cancel safe; succeeds once.
    pub(crate) async fn head(&mut self) -> Result<response::Parts, UpstreamError> {
        match self {
            Self::Upstream(call) => call.head().await,
            Self::Sandbox(sandbox) => match sandbox.head.take() {
                Some(head) => Ok(head),
                None => std::future::pending().await,
            },
        }
    }

    /// The next piece of the body, `None` at its end.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        match self {
            Self::Upstream(call) => call.poll_data(cx),
            Self::Sandbox(sandbox) => {
                if std::mem::replace(&mut sandbox.is_resting, true) {
                    sandbox.is_resting = false;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(sandbox.body.next().map(Ok))
            }
        }
    }

    /// As [`Self::poll_data`]. Cancel safe.
    pub(crate) async fn data(&mut self) -> Option<Result<Bytes, UpstreamError>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }
}
