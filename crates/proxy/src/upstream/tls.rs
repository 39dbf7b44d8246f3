//! TLS towards providers: the platform's trusted authorities, and a provider's private ones besides.

use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use super::UpstreamError;

/// Makes configurations. Reading the platform's authorities takes milliseconds, so the common one is made once.
#[derive(Debug, Default)]
pub(super) struct TlsConfigs {
    platform: OnceLock<Arc<ClientConfig>>,
}

impl TlsConfigs {
    /// The configuration that trusts the platform and the authorities in `extra_pem`.
    ///
    /// # Errors
    /// The PEM text holds no usable certificate, or the platform has no authority at all.
    pub(super) fn get(&self, extra_pem: Option<&str>) -> Result<Arc<ClientConfig>, UpstreamError> {
        if let Some(pem) = extra_pem {
            return build(parse(pem)?);
        }
        if let Some(config) = self.platform.get() {
            return Ok(config.clone());
        }
        let config = build(Vec::new())?;
        Ok(self.platform.get_or_init(|| config).clone())
    }
}

fn parse(pem: &str) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(&error))?;
    if certificates.is_empty() {
        return Err(unusable(&"it holds no certificate"));
    }
    Ok(certificates)
}

fn build(extra: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, UpstreamError> {
    let crypto = Arc::new(CryptoProvider {
        ..aws_lc_rs::default_provider()
    });
    let verifier =
        Verifier::new_with_extra_roots(extra, crypto.clone()).map_err(|error| unusable(&error))?;
    let mut config = ClientConfig::builder_with_provider(crypto)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn unusable(problem: &dyn std::fmt::Display) -> UpstreamError {
    UpstreamError::Settings(format!("the certificate authorities: {problem}"))
}
