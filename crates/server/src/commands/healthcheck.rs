//! `tollgate healthcheck`: asks a running server on this host whether it is ready. For container images without `curl`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::config::{Config, Environment, Overrides, load};
use crate::failure::Failure;
use crate::listeners::PinnedCertificate;
use crate::run_file::{RunFacts, RunFile};

/// Longer than this is as bad as no answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The answer is a line.
const LARGEST_ANSWER: usize = 65_536;

pub(super) async fn run(overrides: &Overrides) -> Result<(), Failure> {
    let loaded = load(overrides, &Environment::of_process())?;
    let config = loaded.config;
    // With port 0 only the run file knows; without a run file the configuration is as good a guess as any.
    let address = RunFile::read(&config.data_dir)
        .as_ref()
        .map_or(config.listen, RunFacts::local_address);
    tokio::time::timeout(TIMEOUT, ask(address, &config))
        .await
        .with_context(|| format!("no answer from `{address}` within {} s", TIMEOUT.as_secs()))?
        .with_context(|| format!("ask `{address}`"))?;
    Ok(())
}

async fn ask(address: SocketAddr, config: &Config) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address).await?;
    match &config.tls.cert_file {
        None => exchange(stream).await,
        Some(cert_file) => exchange(connect_tls(stream, cert_file, address).await?).await,
    }
}

/// The name in the certificate is not this host's loopback address; that it is the very certificate is more anyway.
async fn connect_tls(
    stream: TcpStream,
    cert_file: &Path,
    address: SocketAddr,
) -> anyhow::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let verifier = PinnedCertificate::read(cert_file)?;
    let config = ClientConfig::builder_with_provider(verifier.provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let name = ServerName::IpAddress(address.ip().into());
    Ok(TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?)
}

async fn exchange<S>(stream: S) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/health/ready")
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LARGEST_ANSWER)
            .collect()
            .await
            .map_err(|error| anyhow::anyhow!(error))?
            .to_bytes();
        anyhow::Ok((status, body))
    };
    let (answer, _connection) = tokio::join!(answer, connection);
    let (status, body) = answer?;
    if status.is_success() {
        return Ok(());
    }
    bail!("not ready: {status} {}", String::from_utf8_lossy(&body));
}
