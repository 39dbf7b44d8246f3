//! The accept loop of one socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::connection::{ConnectionLimits, Door, serve_connection};
use super::tls::TlsKeys;
use crate::lifecycle::Lifecycle;

/// Pause after an error of the system's, such as too many open files: it does not pass by asking at once again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket and what stands behind it.
pub(crate) struct Listener<D> {
    pub(crate) socket: TcpListener,
    pub(crate) door: Arc<D>,
    pub(crate) tls: Option<Arc<TlsKeys>>,
    pub(crate) limits: Arc<ConnectionLimits>,
    /// Shared by all listeners.
    pub(crate) slots: Arc<Semaphore>,
}

impl<D: Door> Listener<D> {
    /// Accepts until the soft stop.
    pub(crate) async fn run(self, lifecycle: Lifecycle) {
        loop {
            let accept = async {
                let slot = self.slots.clone().acquire_owned().await.ok()?;
                Some((slot, self.socket.accept().await))
            };
            let accepted = tokio::select! {
                accepted = accept => accepted,
                () = lifecycle.soft.cancelled() => return,
            };
            match accepted {
                None => return,
                Some((_, Err(error))) => {
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                Some((slot, Ok((stream, peer)))) => {
                    let connection = self.connection(stream, peer, lifecycle.clone());
                    lifecycle.connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        lifecycle: Lifecycle,
    ) -> impl Future<Output = ()> + Send + use<D> {
        let door = self.door.clone();
        let limits = self.limits.clone();
        let acceptor = self.tls.as_ref().map(|keys| keys.acceptor());
        async move {
            // Without it every small piece of a stream waits for a delayed acknowledgement.
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(error = %error, "connection gone before it began");
                return;
            }
            let Some(acceptor) = acceptor else {
                return serve_connection(stream, peer, door, limits, lifecycle).await;
            };
            let handshake = tokio::time::timeout(limits.header_timeout, acceptor.accept(stream));
            match handshake.await {
                Ok(Ok(stream)) => serve_connection(stream, peer, door, limits, lifecycle).await,
                Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
                Err(_) => tracing::debug!("TLS handshake took too long"),
            }
        }
    }
}
