//! `<data_dir>/tollgate.run`: where the running process listens. Tests and `tollgate healthcheck` read it.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

const FILE_NAME: &str = "tollgate.run";

/// Facts about the running process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RunFacts {
    pub(crate) pid: u32,
    pub(crate) listen: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) management_listen: Option<SocketAddr>,
    pub(crate) is_tls: bool,
}

impl RunFacts {
    /// The URL of the main listener for a client on this host.
    pub(crate) fn base_url(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.local_address())
    }

    /// The main listener as a client on this host reaches it.
    pub(crate) fn local_address(&self) -> SocketAddr {
        let mut address = self.listen;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        address
    }
}

/// The file; it goes when this is dropped.
pub(crate) struct RunFile(PathBuf);

impl RunFile {
    /// Writes the facts, whole or not at all.
    pub(crate) fn write(data_dir: &Path, facts: &RunFacts) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE_NAME);
        let new = path.with_extension("run.new");
        fs::write(&new, serde_json::to_vec(facts)?)
            .and_then(|()| fs::rename(&new, &path))
            .with_context(|| format!("write `{}`", path.display()))?;
        Ok(Self(path))
    }

    /// The facts that a process left here, when one did.
    pub(crate) fn read(data_dir: &Path) -> Option<RunFacts> {
        let text = fs::read(data_dir.join(FILE_NAME)).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        // It is only a hint; a stale one names a port on which nobody answers.
        let _ = fs::remove_file(&self.0);
    }
}
