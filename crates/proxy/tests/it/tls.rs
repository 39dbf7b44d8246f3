//! Providers behind a private certificate authority.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tollgate_testkit::provider::MockProvider;

use crate::harness::{Setup, question, streamed_question};

/// A TLS door in front of a provider.
struct Door {
    base_url: String,
    ca_pem: String,
    _server: JoinSet<()>,
}

/// A certificate authority that nobody knows.
pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
}

async fn door(mock: &MockProvider) -> Door {
    let issuer = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("https://{}", listener.local_addr().unwrap());
    let behind = mock.base_url().replace("http://", "");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            connections.spawn(async move {
                // A client that does not trust us leaves in the middle of the handshake.
                if let Ok(mut inside) = acceptor.accept(stream).await {
                    let mut outside = TcpStream::connect(behind).await.unwrap();
                    let _ = copy_bidirectional(&mut inside, &mut outside).await;
                }
            });
        }
    });
    Door {
        base_url,
        ca_pem: issuer.pem(),
        _server: server,
    }
}

#[tokio::test]
async fn private_authority_is_trusted_when_it_is_named() {
    let mock = MockProvider::start().await;
    let door = door(&mock).await;
    let world = Setup::at(&door.base_url)
        .network(|network| network.ca_cert_pem = Some(door.ca_pem.as_str().into()))
        .start();
    for body in [question(), streamed_question(), question()] {
        assert_eq!(world.chat(&body).await.status, 200);
    }
    let exchanges = mock.exchanges();
    assert_eq!(
        exchanges[0].request.peer_port,
        exchanges[2].request.peer_port
    );
}

#[tokio::test]
async fn unknown_authority_is_not_trusted() {
    let mock = MockProvider::start().await;
    let door = door(&mock).await;
    let other = self::door(&mock).await;
    let world = Setup::at(&door.base_url)
        .network(|network| network.ca_cert_pem = Some(other.ca_pem.as_str().into()))
        .start();
    let answer = world.chat(&question()).await;
    assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
    assert!(answer.text().contains("TLS"));
    assert_eq!(mock.exchanges().len(), 0);
    assert_eq!(world.spent(), 0);
}

#[tokio::test]
async fn certificate_that_is_none_is_told() {
    let mock = MockProvider::start().await;
    let door = door(&mock).await;
    for pem in [
        "",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
    ] {
        let world = Setup::at(&door.base_url)
            .network(|network| network.ca_cert_pem = Some(pem.into()))
            .start();
        let answer = world.chat(&question()).await;
        assert_eq!(answer.error(), (502, "upstream_error".to_owned()));
        assert!(
            answer.text().contains("certificate authorities"),
            "{}",
            answer.text()
        );
    }
}
