//! What can go wrong between us and a provider.

use std::error::Error as _;
use std::io::ErrorKind as IoErrorKind;

/// Why there is no answer, or only a part of one. Messages are for the caller and name no address that was resolved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// The provider's settings cannot be used.
    #[error("the settings of this provider cannot be used: {0}")]
    Settings(String),
    /// The name does not resolve.
    #[error("the host name of this provider does not resolve")]
    Resolve(#[source] std::io::Error),
    /// Every address is one that the address policy refuses.
    #[error("the address of this provider is not allowed: {0}")]
    AddressRefused(&'static str),
    /// No TCP connection.
    #[error("the provider cannot be reached")]
    Connect(#[source] std::io::Error),
    /// No TLS session.
    #[error("the TLS handshake with the provider failed")]
    Tls(#[source] std::io::Error),
    /// Resolving, connecting and the TLS handshake took too long.
    #[error("connecting to the provider took too long")]
    ConnectTimeout,
    /// The connection was gone before anything of the request was written.
    #[error("the connection to the provider was closed")]
    NotSent(#[source] hyper::Error),
    /// Closed or reset after the request was sent and before the answer was complete.
    #[error("the provider closed the connection before its answer was complete")]
    Closed(#[source] hyper::Error),
    /// What came is not HTTP.
    #[error("the provider sent something that is not a valid HTTP answer")]
    Garbage(#[source] hyper::Error),
    /// The answer did not come, or did not end, in time.
    #[error("the provider took too long to answer")]
    Timeout,
    /// Nothing came for too long in the middle of a stream.
    #[error("the provider stopped sending in the middle of its answer")]
    Idle,
    /// The answer is larger than we keep.
    #[error("the answer of the provider is larger than {0} bytes")]
    TooLarge(usize),
}

impl UpstreamError {
    pub(super) fn from_hyper(error: hyper::Error) -> Self {
        if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
            Self::Garbage(error)
        } else {
            Self::Closed(error)
        }
    }

    /// Whether the provider cannot have seen the request, so that nothing is owed.
    pub(crate) const fn is_unsent(&self) -> bool {
        matches!(
            self,
            Self::Settings(_)
                | Self::Resolve(_)
                | Self::AddressRefused(_)
                | Self::Connect(_)
                | Self::Tls(_)
                | Self::ConnectTimeout
                | Self::NotSent(_)
        )
    }

    /// Whether another attempt may go better.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Resolve(_) | Self::Connect(_) | Self::ConnectTimeout | Self::NotSent(_)
        )
    }

    /// Whether time ran out, as opposed to something breaking.
    pub(crate) const fn is_timeout(&self) -> bool {
        matches!(self, Self::ConnectTimeout | Self::Timeout | Self::Idle)
    }

    /// Whether a connection that was idle before may simply have been closed by the provider in the meantime.
    pub(crate) fn is_stale(&self) -> bool {
        match self {
            Self::NotSent(_) => true,
            Self::Closed(error) => {
                error.is_incomplete_message()
                    || error.is_canceled()
                    || error.is_closed()
                    || error
                        .source()
                        .and_then(|source| source.downcast_ref::<std::io::Error>())
                        .is_some_and(|io| {
                            matches!(
                                io.kind(),
                                IoErrorKind::ConnectionReset
                                    | IoErrorKind::ConnectionAborted
                                    | IoErrorKind::BrokenPipe
                                    | IoErrorKind::UnexpectedEof
                            )
                        })
            }
            _ => false,
        }
    }
}
