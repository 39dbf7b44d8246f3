//! From a provider's base URL to an open connection: name, address policy, TCP, TLS.

use std::net::{IpAddr, SocketAddr};

use hyper::client::conn::http1;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tollgate_domain::address::AddressClass;
use url::Host;

use super::UpstreamError;
use super::io::Io;
use super::link::Link;
use super::origin::Origin;

/// Opens a connection. The caller bounds the time.
pub(super) async fn connect(origin: &Origin) -> Result<Box<Link>, UpstreamError> {
    let stream = connect_tcp(origin).await?;
    // Requests and answers are written whole; waiting for more to send only adds delay.
    stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
    let io = match &origin.tls {
        None => Io::plain(stream),
        Some(tls) => {
            let name = server_name(&origin.host)?;
            let session = TlsConnector::from(tls.clone())
                .connect(name, stream)
                .await
                .map_err(UpstreamError::Tls)?;
            Io::tls(session)
        }
    };
    let (sender, connection) = http1::Builder::new()
        .handshake(io)
        .await
        .map_err(UpstreamError::NotSent)?;
    Ok(Box::new(Link::new(sender, connection)))
}

async fn connect_tcp(origin: &Origin) -> Result<TcpStream, UpstreamError> {
    let addresses = addresses(origin).await?;
    let mut last = UpstreamError::AddressRefused("the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = UpstreamError::Connect(error),
        }
    }
    Err(last)
}

/// The addresses that may be tried. The check is on the address that is then connected to, so that a name which
/// resolves differently the next time gains nothing.
async fn addresses(origin: &Origin) -> Result<Vec<SocketAddr>, UpstreamError> {
    let literal = match &origin.host {
        Host::Ipv4(address) => Some(IpAddr::V4(*address)),
        Host::Ipv6(address) => Some(IpAddr::V6(*address)),
        Host::Domain(_) => None,
    };
    if let Some(address) = literal {
        check(address, true, origin.allow_private_network)?;
        return Ok(vec![SocketAddr::new(address, origin.port)]);
    }
    let resolved = match &origin.host {
        Host::Domain(name) => tokio::net::lookup_host((name.as_str(), origin.port))
            .await
            .map_err(UpstreamError::Resolve)?,
        Host::Ipv4(_) | Host::Ipv6(_) => return Ok(Vec::new()),
    };
    let mut refusal = None;
    let mut allowed = Vec::new();
    for address in resolved {
        match check(address.ip(), false, origin.allow_private_network) {
            Ok(()) => allowed.push(address),
            Err(error) => refusal = Some(error),
        }
    }
    match refusal {
        Some(error) if allowed.is_empty() => Err(error),
        _ => Ok(allowed),
    }
}

fn check(address: IpAddr, is_written_out: bool, allow_private: bool) -> Result<(), UpstreamError> {
    let class = AddressClass::of(address);
    if class.is_allowed(is_written_out, allow_private) {
        return Ok(());
    }
    Err(UpstreamError::AddressRefused(match class {
        AddressClass::Forbidden => "link-local, metadata and multicast addresses never are",
        AddressClass::Private | AddressClass::Public => {
            "the name resolves to a private address; set `allow_private_network` on the provider, or write the address out"
        }
    }))
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, UpstreamError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone())
            .map_err(|error| UpstreamError::Settings(format!("the host name: {error}"))),
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
    }
}
