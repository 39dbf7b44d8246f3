//! Sockets: accept, TLS, HTTP/1.1 and HTTP/2, with a bound on everything a client can hold.

mod accept;
mod client_address;
mod connection;
mod sockets;
mod tls;

pub(crate) use accept::Listener;
pub(crate) use client_address::ClientAddress;
pub(crate) use connection::{ConnectionLimits, Door};
pub(crate) use sockets::Sockets;
pub(crate) use tls::{PinnedCertificate, TlsKeys};
