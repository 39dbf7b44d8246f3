//! The two planes over one installation: what answers model requests, what answers administrators, and the workers that
//! connect them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tollgate_domain::accounting::JournalPosition;
use tollgate_gate::{Gate, GateParts};
use tollgate_ledger::Ledger;
use tollgate_management::{EnvironmentNames, ManagementParts, ManagementState};
use tollgate_proxy::{Proxy, ProxyConfig, Shutdown, UpstreamClient, UpstreamConfig};

use crate::config::{Config, Environment};
use crate::installation::Installation;
use crate::lifecycle::Lifecycle;
use crate::listeners::{ConnectionLimits, Listener, Sockets, TlsKeys};
use crate::metrics;
use crate::policy::LivePolicy;
use crate::publisher::SnapshotPublisher;
use crate::web::{self, Doors, Health, MetricsPage, RequestIds};
use crate::workers::{
    ChangedLimits, ExpiryWorker, FoldStatus, FoldWorker, RotationMetrics, RotationWorker, Sender,
    WebhookMetrics, WebhookWorker, checkpoint, reset_usage, sweep,
};

/// Nobody's hold is taken for forgotten before this has passed in addition to all that a request may take.
const SWEEP_MARGIN: Duration = Duration::from_mins(1);

/// Both planes, ready to be put behind listeners.
pub(crate) struct Planes {
    proxy: Proxy,
    /// The management API with everything that stands beside it.
    administration: Router,
    health: Arc<Health>,
}

impl Planes {
    /// Loads the policy, and starts the workers that keep it and the accounts up to date.
    pub(crate) async fn start(
        config: &Config,
        environment: Environment,
        installation: &Installation,
        ledger: Arc<Ledger>,
        position: JournalPosition,
        lifecycle: &Lifecycle,
    ) -> anyhow::Result<Self> {
        let mut registry = metrics::registry();
        let snapshots = installation.snapshots(config, environment);
        let parts = GateParts {
            ledger: ledger.clone(),
            clock: installation.clock.clone(),
            ids: installation.ids.clone(),
            snapshot: snapshots.load().await.context("load the policy")?,
            output: config.reservation.into(),
        };
        let gate = Gate::new(parts, &mut registry);
        let changed = Arc::new(ChangedLimits::default());
        let publisher = SnapshotPublisher::new(snapshots, gate.clone(), changed.clone());
        let stop = lifecycle.workers_stop.clone();
        lifecycle.spawn_worker("publisher", publisher.clone().run(stop));

        let fold = Arc::new(FoldStatus::register(&mut registry));
        let worker = FoldWorker {
            ledger: ledger.clone(),
            store: installation.store.clone(),
            gate: gate.clone(),
            clock: installation.clock.clone(),
            ids: installation.ids.clone(),
            settings: config.fold.clone(),
            status: fold.clone(),
            position,
            changed,
        };
        lifecycle.spawn_worker("fold", worker.run(lifecycle.workers_stop.clone()));

        let worker = ExpiryWorker {
            store: installation.store.clone(),
            clock: installation.clock.clone(),
            ids: installation.ids.clone(),
        };
        lifecycle.spawn_worker("expiry", worker.run(lifecycle.workers_stop.clone()));

        let worker = RotationWorker {
            store: installation.store.clone(),
            clock: installation.clock.clone(),
            ids: installation.ids.clone(),
            secrets: installation.secrets.clone(),
            publisher: publisher.clone(),
            metrics: RotationMetrics::register(&mut registry),
        };
        lifecycle.spawn_worker("rotation", worker.run(lifecycle.workers_stop.clone()));

        let worker = WebhookWorker {
            store: installation.store.clone(),
            clock: installation.clock.clone(),
            ids: installation.ids.clone(),
            settings: config.webhooks.clone(),
            sender: Sender::new(config.webhooks.timeout.0)?,
            metrics: WebhookMetrics::register(&mut registry),
        };
        let stop = lifecycle.workers_stop.clone();
        lifecycle.spawn_worker("webhooks", async move { worker.run(stop).await });

        let shutdown = Shutdown {
            soft: lifecycle.soft.clone(),
            hard: lifecycle.hard.clone(),
            tracker: lifecycle.connections.clone(),
        };
        let upstream = UpstreamClient::new(UpstreamConfig::default());
        let limits = proxy_config(config);
        // The time for the answer's end, for a client that has gone, and a minute for whatever is slow today.
        let rest = limits.max_stream_duration + limits.drain_timeout + SWEEP_MARGIN;
        let stop = lifecycle.workers_stop.clone();
        lifecycle.spawn_worker("sweeper", sweep(gate.clone(), rest, stop));
        let proxy = Proxy::new(gate.clone(), upstream, limits, shutdown, &mut registry);
        let management = ManagementState::new(ManagementParts {
            store: installation.store.clone(),
            live: ledger.clone(),
            fold: fold.clone(),
            publisher,
            policy: Arc::new(LivePolicy(gate)),
            clock: installation.clock.clone(),
            ids: installation.ids.clone(),
            secrets: installation.secrets.clone(),
            environment_names: EnvironmentNames::new(config.providers.env_allow.clone()),
            tasks: lifecycle.connections.clone(),
        });
        // Nobody is served from counters that should be zero.
        if let Err(error) = management.apply_resets().await {
            tracing::warn!(%error, "usage was not set back to zero before the start");
        }
        let stop = lifecycle.workers_stop.clone();
        lifecycle.spawn_worker("resets", reset_usage(management.clone(), stop));
        let stop = lifecycle.workers_stop.clone();
        lifecycle.spawn_worker("checkpoints", checkpoint(installation.store.clone(), stop));
        let health = Arc::new(Health {
            lifecycle: lifecycle.clone(),
            ledger,
            fold,
        });
        let metrics = MetricsPage {
            registry,
            token: config.metrics.token.clone(),
        };
        Ok(Self {
            proxy,
            administration: web::open_pages(health.clone())
                .merge(metrics.routes())
                .merge(tollgate_management::router(management)),
            health,
        })
    }

    /// Puts both behind one listener, or each behind its own.
    pub(crate) fn serve(
        self,
        sockets: Sockets,
        config: &Config,
        tls: Option<&Arc<TlsKeys>>,
        installation: &Installation,
        lifecycle: &Lifecycle,
    ) {
        let http = &config.http;
        let limits = Arc::new(ConnectionLimits {
            header_timeout: http.header_timeout.0,
            write_timeout: http.write_timeout.0,
            max_header_bytes: http.max_header_bytes,
        });
        let slots = Arc::new(Semaphore::new(http.max_connections));
        let start = |socket: TcpListener, proxy: Option<Proxy>, web: Router| {
            let door = Doors {
                proxy,
                web,
                trusted_proxies: http.trusted_proxies.clone(),
                ids: RequestIds(installation.ids.clone()),
            };
            let listener = Listener {
                socket,
                door: Arc::new(door),
                tls: tls.cloned(),
                limits: limits.clone(),
                slots: slots.clone(),
            };
            let own = lifecycle.clone();
            lifecycle.connections.spawn(listener.run(own));
        };
        match sockets.management {
            None => start(sockets.main, Some(self.proxy), self.administration),
            Some(socket) => {
                let openapi = tollgate_management::openapi_json();
                let pages = web::data_plane_pages(self.health, openapi);
                start(sockets.main, Some(self.proxy), pages);
                start(socket, None, self.administration);
            }
        }
    }
}

fn proxy_config(config: &Config) -> ProxyConfig {
    ProxyConfig {
        max_request_body: config.http.max_body_bytes,
        request_body_timeout: config.http.body_timeout.0,
        max_concurrent_requests: config.http.max_requests,
        ..ProxyConfig::default()
    }
}
