//! Network settings as they are stored: without the headers, which are secrets.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tollgate_domain::provider::NetworkSettings;
use url::Url;

use crate::error::Result;
use crate::sql::corrupt;

#[derive(Serialize, Deserialize)]
pub(super) struct NetworkRow {
    base_url: String,
    request_timeout_ms: u64,
    idle_timeout_ms: u64,
    max_retries: u32,
    retry_backoff_initial_ms: u64,
    retry_backoff_max_ms: u64,
    ca_cert_pem: Option<Arc<str>>,
    allow_private_network: bool,
}

impl From<&NetworkSettings> for NetworkRow {
    fn from(settings: &NetworkSettings) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self {
            base_url: settings.base_url.to_string(),
            request_timeout_ms: ms(settings.request_timeout),
            idle_timeout_ms: ms(settings.idle_timeout),
            max_retries: settings.max_retries,
            retry_backoff_initial_ms: ms(settings.retry_backoff_initial),
            retry_backoff_max_ms: ms(settings.retry_backoff_max),
            ca_cert_pem: settings.ca_cert_pem.clone(),
            allow_private_network: settings.allow_private_network,
        }
    }
}

impl NetworkRow {
    pub(super) fn with_headers(
        self,
        extra_headers: Vec<(String, SecretString)>,
    ) -> Result<NetworkSettings> {
        Ok(NetworkSettings {
            base_url: Url::parse(&self.base_url).map_err(|error| corrupt("network", error))?,
            request_timeout: Duration::from_millis(self.request_timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            max_retries: self.max_retries,
            retry_backoff_initial: Duration::from_millis(self.retry_backoff_initial_ms),
            retry_backoff_max: Duration::from_millis(self.retry_backoff_max_ms),
            extra_headers,
            ca_cert_pem: self.ca_cert_pem,
            allow_private_network: self.allow_private_network,
        })
    }
}
