//! One request to a webhook: signed, bounded, and never to an address where nobody may send.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use http::{StatusCode, header};
use reqwest::Client;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use tollgate_domain::Timestamp;
use tollgate_domain::address::AddressClass;
use tollgate_domain::time::MICROS_PER_SECOND;
use tollgate_storage::webhooks::StoredWebhook;
use tollgate_storage::webhooks::deliveries::Delivery;
use url::{Host, Url};

use super::signature::sign;

/// How receivers see us.
const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Why a request got no answer. Says nothing of the URL, which may carry a token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Nobody may send there.
    #[error("the address is refused: {0}")]
    Refused(&'static str),
    /// It took too long.
    #[error("there was no answer in time")]
    TimedOut,
    /// No connection, or it broke.
    #[error("{0}")]
    Failed(String),
}

/// Sends requests to webhooks.
pub(crate) struct Sender {
    /// Names may resolve to public addresses only.
    public: Client,
    /// Names may resolve to private ones too.
    private: Client,
}

impl Sender {
    /// A sender that waits for an answer at most for `timeout`.
    ///
    /// # Errors
    /// When TLS cannot be set up: the host has no certificate authorities.
    pub(crate) fn new(timeout: Duration) -> anyhow::Result<Self> {
        let client = |allow_private| {
            Client::builder()
                .user_agent(USER_AGENT)
                .timeout(timeout)
                // A redirect would lead past the check of the address, and the signature to somebody else.
                .redirect(Policy::none())
                .no_proxy()
                .pool_max_idle_per_host(1)
                .pool_idle_timeout(IDLE)
                .dns_resolver(Arc::new(CheckedNames { allow_private }))
                .build()
                .context("set up requests to webhooks")
        };
        Ok(Self {
            public: client(false)?,
            private: client(true)?,
        })
    }

    /// Tells `webhook` of `delivery`, signed as of `now`, and returns the status of the answer. Its body is not read.
    pub(crate) async fn send(
        &self,
        webhook: &StoredWebhook,
        delivery: &Delivery,
        now: Timestamp,
    ) -> Result<StatusCode, SendError> {
        let url = check_url(&webhook.url)?;
        let client = if webhook.allow_private_network {
            &self.private
        } else {
            &self.public
        };
        let id = delivery.event_id.to_string();
        let seconds = now.as_micros().div_euclid(MICROS_PER_SECOND);
        let signature = sign(&webhook.secret, &id, seconds, &delivery.payload);
        let request = client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(delivery.payload.clone());
        match request.send().await {
            Ok(answer) => Ok(answer.status()),
            Err(error) if error.is_timeout() => Err(SendError::TimedOut),
            Err(error) => Err(SendError::Failed(describe(&error))),
        }
    }
}

/// The URL, when what is written out in it may be reached. It was checked when it was stored, by the rules of then.
fn check_url(text: &str) -> Result<Url, SendError> {
    let url = Url::parse(text).map_err(|_| SendError::Refused("it is no URL"))?;
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return Err(SendError::Refused("it has no host")),
    };
    match literal {
        Some(address) if !AddressClass::of(address).is_allowed(true, true) => {
            Err(SendError::Refused(NEVER))
        }
        _ => Ok(url),
    }
}

const NEVER: &str = "link-local, metadata and multicast addresses are never sent to";
const PRIVATE: &str = "the name resolves to a private address; set `allow_private_network` on the webhook, or write the address out";

/// Resolves names to the addresses that may be reached. What is checked is what is then connected to, so that a name
/// which resolves differently the next time gains nothing.
struct CheckedNames {
    allow_private: bool,
}

impl Resolve for CheckedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = allowed(found, allow_private)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Those of the addresses of a name that may be reached.
fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    allow_private: bool,
) -> Result<Vec<SocketAddr>, SendError> {
    let mut refusal = SendError::Refused("the name has no address");
    let mut allowed = Vec::new();
    for address in found {
        match AddressClass::of(address.ip()) {
            class if class.is_allowed(false, allow_private) => allowed.push(address),
            AddressClass::Forbidden => refusal = SendError::Refused(NEVER),
            AddressClass::Private | AddressClass::Public => refusal = SendError::Refused(PRIVATE),
        }
    }
    if allowed.is_empty() {
        return Err(refusal);
    }
    Ok(allowed)
}

/// The innermost cause: the outer ones name the URL.
fn describe(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    let what = if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    match text {
        Some(text) => format!("{what}: {text}"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> impl Iterator<Item = SocketAddr> {
        let parsed: Vec<_> = texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect();
        parsed.into_iter()
    }

    #[test]
    fn names_lead_only_where_they_may() {
        let found = ["169.254.169.254", "10.0.0.1", "8.8.8.8"];
        let public = allowed(addresses(&found), false).unwrap();
        assert_eq!(public.len(), 1);
        assert_eq!(allowed(addresses(&found), true).unwrap().len(), 2);
        let refused = allowed(addresses(&["127.0.0.1"]), false).unwrap_err();
        assert!(refused.to_string().contains("`allow_private_network`"));
        assert!(allowed(addresses(&["fe80::1", "::ffff:169.254.169.254"]), true).is_err());
        assert!(allowed(addresses(&[]), true).is_err());
    }

    #[test]
    fn written_out_addresses_are_checked_again() {
        for refused in ["http://169.254.169.254/", "http://[::]/", "x"] {
            assert!(check_url(refused).is_err(), "{refused}");
        }
        for fine in ["http://127.0.0.1:1/", "https://example.com/"] {
            assert!(check_url(fine).is_ok(), "{fine}");
        }
    }
}
