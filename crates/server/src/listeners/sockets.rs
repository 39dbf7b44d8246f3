//! The bound sockets.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::run_file::RunFacts;
use crate::telemetry;

/// The bound sockets.
pub(crate) struct Sockets {
    pub(crate) main: TcpListener,
    /// Set when the management API has a listener of its own.
    pub(crate) management: Option<TcpListener>,
    addresses: (SocketAddr, Option<SocketAddr>),
}

impl Sockets {
    /// Binds early, so that addresses are known and taken before anything else starts.
    pub(crate) async fn bind(config: &Config) -> anyhow::Result<Self> {
        let main = bind(config.listen).await?;
        let management = match config.management.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let addresses = (
            main.local_addr().context("ask for the bound address")?,
            management
                .as_ref()
                .map(TcpListener::local_addr)
                .transpose()
                .context("ask for the bound address")?,
        );
        Ok(Self {
            main,
            management,
            addresses,
        })
    }

    /// The first line of the log.
    pub(crate) fn announce(&self, file: Option<&Path>) {
        let (listen, management) = self.addresses;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            commit = telemetry::COMMIT,
            config.file = file.map(|path| tracing::field::display(path.display())),
            listen = %listen,
            management.listen = management.map(tracing::field::display),
            "tollgate starts"
        );
    }

    /// What the run file says.
    pub(crate) fn facts(&self, is_tls: bool) -> RunFacts {
        RunFacts {
            pid: std::process::id(),
            listen: self.addresses.0,
            management_listen: self.addresses.1,
            is_tls,
        }
    }
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("listen on `{address}`; is something else running there?"))
}
