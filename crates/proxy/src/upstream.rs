//! The client side: own HTTP/1.1 connections to providers, driven inside the task of the request that uses them.
//!
//! A pooled client that keeps each connection in a task of its own pays a channel hand-over and a wake-up for every chunk
//! of a stream. Here [`Call`] polls the connection while it polls the body. Only `http/1.1` is offered to the provider;
//! redirects are not followed; nothing is decompressed.
//!
//! Invariant: a connection goes back to its pool only when its answer ended cleanly.

mod call;
mod connect;
mod error;
mod io;
mod link;
mod origin;
mod pool;
mod tls;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use parking_lot::RwLock;
use tollgate_domain::provider::{Provider, ProviderName};

pub(crate) use self::call::Call;
pub(crate) use self::error::UpstreamError;
pub(crate) use self::origin::Origin;
use self::tls::TlsConfigs;

/// What is sent to a provider.
pub(crate) type UpstreamRequest = Request<Full<Bytes>>;

/// Limits of the connections to providers.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamConfig {
    /// For resolving the name, connecting and the TLS handshake together.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept for one provider.
    pub max_idle_per_provider: usize,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(55),
            max_idle_per_provider: 256,
        }
    }
}

/// Connections to all providers.
#[derive(Debug)]
pub struct UpstreamClient {
    config: UpstreamConfig,
    tls: TlsConfigs,
    origins: RwLock<HashMap<ProviderName, Arc<Origin>>>,
}

impl UpstreamClient {
    /// A client without any connection yet.
    pub fn new(config: UpstreamConfig) -> Self {
        Self {
            config,
            tls: TlsConfigs::default(),
            origins: RwLock::default(),
        }
    }

    /// Where `provider` is, by its present settings. Connections of older settings are never used again.
    ///
    /// # Errors
    /// The settings cannot be used: an unusable certificate or header, an address that is never allowed.
    pub(crate) fn origin(&self, provider: &Provider) -> Result<Arc<Origin>, UpstreamError> {
        if let Some(known) = self.origins.read().get(provider.name.as_str())
            && known.is_current(provider)
        {
            return Ok(known.clone());
        }
        // Made outside the lock: reading certificate authorities takes a while. Of two that are made at once, one pool is
        // closed again, which costs a handshake.
        let old = self.origins.read().get(provider.name.as_str()).cloned();
        let fresh = Origin::new(provider, old.as_deref(), &self.tls, &self.config)?;
        let fresh = Arc::new(fresh);
        self.origins
            .write()
            .insert(provider.name.clone(), fresh.clone());
        Ok(fresh)
    }

    /// Starts a request on an idle connection, or on a new one when there is none.
    ///
    /// # Errors
    /// No connection could be made; nothing was sent.
    pub(crate) async fn start(
        &self,
        origin: &Arc<Origin>,
        request: UpstreamRequest,
    ) -> Result<Call, UpstreamError> {
        match origin.pool.take() {
            Some(link) => Ok(Call::new(link, request, origin.clone(), true)),
            None => self.start_fresh(origin, request).await,
        }
    }

    /// Starts a request on a new connection.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) async fn start_fresh(
        &self,
        origin: &Arc<Origin>,
        request: UpstreamRequest,
    ) -> Result<Call, UpstreamError> {
        let connecting =
            tokio::time::timeout(self.config.connect_timeout, connect::connect(origin));
        // On the heap: every request would have to make room for what few of them do.
        let link = Box::pin(connecting)
            .await
            .map_err(|_| UpstreamError::ConnectTimeout)??;
        Ok(Call::new(link, request, origin.clone(), false))
    }

    /// Closes connections that were unused for too long, also those of providers that are no longer called.
    pub(crate) fn sweep(&self) {
        let origins: Vec<_> = self.origins.read().values().cloned().collect();
        for origin in &origins {
            origin.pool.sweep();
        }
    }

    /// How often [`Self::sweep`] has something to do.
    pub(crate) const fn sweep_interval(&self) -> Duration {
        self.config.idle_timeout
    }
}

impl Default for UpstreamClient {
    fn default() -> Self {
        Self::new(UpstreamConfig::default())
    }
}
