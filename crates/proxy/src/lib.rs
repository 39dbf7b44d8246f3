//! The data plane for model traffic: a governed way from a client to a provider and back.
//!
//! A request passes these phases, in this order: accept → authenticate → parse envelope → resolve alias → evaluate access
//! → admit (limits, budget reservation) → call upstream (retry only before the first response byte) → stream reply
//! (meter) → settle (usage, budget, metrics). Start reading at [`Proxy::serve`]; each phase is a file that says so in
//! its first line. Deciding and charging are `tollgate-gate`'s, wire formats `tollgate-llm`'s; this crate moves bytes.
//!
//! It must never know of the database or the management API. Bytes pass untouched but for the documented splices, streams
//! are never buffered, and everything is bounded. Whatever happens to client or provider, a request that was sent is
//! settled exactly once: while a client waits, a guard owns it, and takes it to the background when the client leaves.
//!
//! Tested against a scripted provider in `tests/it`, and beside the code.
#![warn(missing_docs)]

mod attempt;
mod body;
mod config;
mod credentials;
mod describe;
mod guard;
mod headers;
mod intake;
mod join;
mod metrics;
mod models;
mod reply;
mod respond;
mod route;
mod run;
mod service;
mod shared;
mod source;
mod stream;
mod turn;
mod upstream;

pub use body::ProxyBody;
pub use config::ProxyConfig;
pub use service::Proxy;
pub use shared::Shutdown;
pub use upstream::{UpstreamClient, UpstreamConfig};
