//! Where a provider is, prepared for the hot path: parsed once for each revision of its settings.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rustls::ClientConfig;
use secrecy::ExposeSecret as _;
use tollgate_domain::access::Endpoint;
use tollgate_domain::provider::{NetworkSettings, Provider};
use url::Host;

use super::pool::Pool;
use super::tls::TlsConfigs;
use super::{UpstreamConfig, UpstreamError};

/// A provider's origin, its connections, and what is the same in every request to it.
pub(crate) struct Origin {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) allow_private_network: bool,
    pub(super) pool: Arc<Pool>,
    /// `host` and the provider's extra headers; the values of the latter are marked sensitive.
    base_headers: HeaderMap,
    chat_completions: Uri,
    embeddings: Uri,
    network: Arc<NetworkSettings>,
    revision: u64,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Origin {
    /// Prepares the origin of `provider`. Connections of `old` are taken over when nothing changed that they depend on.
    pub(super) fn new(
        provider: &Provider,
        old: Option<&Self>,
        tls: &TlsConfigs,
        config: &UpstreamConfig,
    ) -> Result<Self, UpstreamError> {
        let network = provider.network.clone().ok_or_else(|| {
            UpstreamError::Settings("it has no `base_url`; set one on the provider".to_owned())
        })?;
        let url = &network.base_url;
        let is_tls = match url.scheme() {
            "https" => true,
            "http" => false,
            other => {
                return Err(UpstreamError::Settings(format!(
                    "the scheme `{other}` of `base_url`; use `https` or `http`"
                )));
            }
        };
        let host = url
            .host()
            .ok_or_else(|| UpstreamError::Settings("`base_url` has no host".to_owned()))?
            .to_owned();
        let port = url
            .port_or_known_default()
            .ok_or_else(|| UpstreamError::Settings("`base_url` has no port".to_owned()))?;
        let kept = old.filter(|old| {
            old.revision == provider.revision && is_same_connection(&old.network, &network)
        });
        let (tls, pool) = if let Some(old) = kept {
            (old.tls.clone(), old.pool.clone())
        } else {
            let tls = is_tls
                .then(|| tls.get(network.ca_cert_pem.as_deref()))
                .transpose()?;
            (tls, Arc::new(Pool::new(config)))
        };
        Ok(Self {
            base_headers: base_headers(&network, &host)?,
            chat_completions: path(&network, "/v1/chat/completions")?,
            embeddings: path(&network, "/v1/embeddings")?,
            allow_private_network: network.allow_private_network,
            revision: provider.revision,
            host,
            port,
            tls,
            pool,
            network,
        })
    }

    /// Whether this was made from exactly these settings.
    pub(super) fn is_current(&self, provider: &Provider) -> bool {
        self.revision == provider.revision
            && provider
                .network
                .as_ref()
                .is_some_and(|network| Arc::ptr_eq(network, &self.network))
    }

    /// The request target of an endpoint.
    pub(crate) const fn uri(&self, endpoint: Endpoint) -> &Uri {
        match endpoint {
            Endpoint::ChatCompletions => &self.chat_completions,
            Endpoint::Embeddings => &self.embeddings,
        }
    }

    /// What every request carries.
    pub(crate) const fn base_headers(&self) -> &HeaderMap {
        &self.base_headers
    }

    /// How to reach it.
    pub(crate) fn network(&self) -> &NetworkSettings {
        &self.network
    }
}

/// Whether a connection made with one of the settings may carry a request made with the other.
fn is_same_connection(a: &NetworkSettings, b: &NetworkSettings) -> bool {
    a.base_url == b.base_url
        && a.ca_cert_pem == b.ca_cert_pem
        && a.allow_private_network == b.allow_private_network
}

fn path(network: &NetworkSettings, route: &str) -> Result<Uri, UpstreamError> {
    let url = &network.base_url;
    let prefix = url.path().trim_end_matches('/');
    let text = match url.query() {
        Some(query) => format!("{prefix}{route}?{query}"),
        None => format!("{prefix}{route}"),
    };
    text.parse::<PathAndQuery>()
        .map(Uri::from)
        .map_err(|error| UpstreamError::Settings(format!("the path of `base_url`: {error}")))
}

fn base_headers(
    network: &NetworkSettings,
    host: &Host<String>,
) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    let authority = match network.base_url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    };
    let authority = HeaderValue::try_from(authority)
        .map_err(|error| UpstreamError::Settings(format!("the host of `base_url`: {error}")))?;
    headers.insert(http::header::HOST, authority);
    for (name, value) in &network.extra_headers {
        let header = HeaderName::try_from(name.as_str()).map_err(|_| {
            UpstreamError::Settings(format!("`{name}` in `extra_headers` is no header name"))
        })?;
        if is_ours(&header) {
            return Err(UpstreamError::Settings(format!(
                "`{name}` in `extra_headers` belongs to the connection and cannot be set"
            )));
        }
        let mut value = HeaderValue::try_from(value.expose_secret()).map_err(|_| {
            UpstreamError::Settings(format!(
                "the value of `{name}` in `extra_headers` is no header value"
            ))
        })?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

/// Headers that frame the message or choose the connection. `accept-encoding` too: we could not read the usage.
fn is_ours(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "host"
            | "connection"
            | "content-length"
            | "transfer-encoding"
            | "te"
            | "trailer"
            | "upgrade"
            | "keep-alive"
            | "expect"
            | "accept-encoding"
    )
}
