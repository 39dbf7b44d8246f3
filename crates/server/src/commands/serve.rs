//! `tollgate serve`: the whole start, in order, and the whole stop.

use std::sync::Arc;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use tollgate_domain::accounting::LedgerState;
use tollgate_ledger::{Ledger, LedgerConfig};

use crate::bootstrap::{DemoKeys, ensure_admin_key, ensure_demo, register_providers};
use crate::config::{Config, Environment, Loaded, Overrides, load};
use crate::failure::Failure;
use crate::installation::Installation;
use crate::lifecycle::{Lifecycle, Signals};
use crate::listeners::{Sockets, TlsKeys};
use crate::planes::Planes;
use crate::run_file::{RunFacts, RunFile};
use crate::workers::keep_lock;
use crate::{output, telemetry};

pub(super) fn run(overrides: &Overrides) -> Result<(), Failure> {
    let environment = Environment::of_process();
    let loaded = load(overrides, &environment)?;
    telemetry::start(&loaded.config.log);
    telemetry::log_panics();
    super::block_on(serve(loaded, environment))
}

async fn serve(loaded: Loaded, environment: Environment) -> Result<(), Failure> {
    let Loaded { config, file, .. } = loaded;
    let signals = Signals::catch()?;
    let sockets = Sockets::bind(&config).await?;
    sockets.announce(file.as_deref());
    let tls = tls_keys(&config)?;

    let lifecycle = Lifecycle::new();
    let installation = Installation::open(&config).await?;
    // From here on we are the only one: the database's lock here, the data directory's in the ledger.
    let lock = installation
        .store
        .lock()
        .await
        .context("take the database's lock")?;
    let state = installation
        .store
        .ledger_state()
        .await
        .context("read where the ledger stands")?;
    let position = state.position;
    let ledger = open_ledger(&config, &installation, state).await?;

    let founding = installation.founding();
    let admin_key = ensure_admin_key(&founding, config.admin_key.as_ref()).await?;
    register_providers(&founding, &environment).await?;
    let demo = if config.demo {
        Some(ensure_demo(&founding).await?)
    } else {
        None
    };

    let planes = Planes::start(
        &config,
        environment,
        &installation,
        ledger.clone(),
        position,
        &lifecycle,
    )
    .await?;
    let store = installation.store.clone();
    let stop = lifecycle.workers_stop.clone();
    lifecycle.spawn_worker("writer lock", keep_lock(store, lock, stop));

    let run_facts = sockets.facts(tls.is_some());
    planes.serve(sockets, &config, tls.as_ref(), &installation, &lifecycle);
    lifecycle.start_serving();
    if let Some(key) = admin_key {
        output::line(format_args!(
            "management key (shown once; keep it): {}",
            key.expose_secret()
        ));
    }
    if let Some(keys) = demo {
        print_demo(&run_facts, &keys);
    }
    let run_file = RunFile::write(&config.data_dir, &run_facts)?;
    tracing::info!("ready");

    let stopped = lifecycle
        .run(signals, config.http.shutdown_grace.0, || {
            if let Some(keys) = &tls {
                keys.reload();
            }
        })
        .await;
    if let Err(error) = ledger.sync() {
        tracing::error!(error = %error, "the end of the journal is not on disk");
    }
    installation.store.close().await;
    drop(run_file);
    tracing::info!("stopped");
    Ok(stopped?)
}

async fn open_ledger(
    config: &Config,
    installation: &Installation,
    state: LedgerState,
) -> anyhow::Result<Arc<Ledger>> {
    let settings = LedgerConfig {
        sync_interval: config.journal.sync_interval.0,
        segment_bytes: config.journal.segment_bytes,
        accepts_foreign_journal: config.journal.accept_foreign,
        ..LedgerConfig::new(&config.data_dir, installation.ids.next_uuid())
    };
    let now = installation.clock.now();
    // It reads what was not folded, from the disk.
    let ledger = tokio::task::spawn_blocking(move || Ledger::open(settings, state, now))
        .await
        .context("open the ledger")??;
    Ok(Arc::new(ledger))
}

fn tls_keys(config: &Config) -> Result<Option<Arc<TlsKeys>>, Failure> {
    match (&config.tls.cert_file, &config.tls.key_file) {
        (Some(cert), Some(key)) => {
            let keys = TlsKeys::read(cert, key).map_err(Failure::Config)?;
            Ok(Some(Arc::new(keys)))
        }
        _ => Ok(None),
    }
}

fn print_demo(facts: &RunFacts, keys: &DemoKeys) {
    let base = facts.base_url();
    let curl = |key: &SecretString| {
        format!(
            "curl -si {base}/v1/chat/completions -H 'Authorization: Bearer {}' -H 'Content-Type: application/json' -d '{{\"model\": \"sandbox/sandbox-small\", \"messages\": [{{\"role\": \"user\", \"content\": \"What does a toll gate do?\"}}]}}'",
            key.expose_secret()
        )
    };
    output::line("\nThis answers, and its headers say what it cost:\n");
    output::line(curl(&keys.works));
    output::line("\nThis is refused, because its budget cannot pay for it:\n");
    output::line(curl(&keys.refused));
    output::line("");
}
