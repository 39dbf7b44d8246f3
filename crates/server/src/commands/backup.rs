//! `tollgate backup`: database and journal together, also beside a running server.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use tollgate_domain::Timestamp;
use tollgate_storage::Engine;

use super::postgres_tools::{run as run_tool, tool};
use crate::backup::{FORMAT, Layout, Manifest, copy_files, journal_in};
use crate::cli::BackupArgs;
use crate::config::{Environment, load};
use crate::failure::Failure;
use crate::installation::{Installation, database_url};
use crate::output;

/// Segments come and go beside a running server; that often in a row would be a surprise.
const TRIES: u32 = 5;

pub(super) async fn run(args: BackupArgs) -> Result<(), Failure> {
    let loaded = load(&args.common.into(), &Environment::of_process())?;
    let config = loaded.config;
    let installation = Installation::open(&config).await?;
    fs::create_dir(&args.to)
        .with_context(|| format!("make the directory `{}`", args.to.display()))?;
    let layout = Layout(args.to);
    // The journal first: the database may then be ahead of it, which the ledger takes as it is. The other way round, a
    // segment that was folded and deleted in between would be missing.
    copy_journal(&journal_in(&config.data_dir), &layout.journal())?;
    let engine = installation.store.engine();
    match engine {
        Engine::Sqlite => installation
            .store
            .backup(&layout.sqlite())
            .await
            .context("copy the database")?,
        Engine::Postgres => {
            let mut dump = tool("pg_dump", &database_url(&config))?;
            dump.args(["--format=custom", "--no-owner", "--no-privileges", "--file"])
                .arg(layout.postgres());
            run_tool(&mut dump)?;
        }
    }
    write_manifest(&layout, engine, installation.clock.now())?;
    installation.store.close().await;
    output::line(format_args!(
        "database and journal are in `{}`; the master key is not, keep it elsewhere",
        layout.0.display()
    ));
    Ok(())
}

fn copy_journal(from: &Path, to: &Path) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        match copy_files(from, to) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound && from.exists() => {
                fs::remove_dir_all(to).with_context(|| format!("clear `{}`", to.display()))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!(
                    "there is no journal in `{}`; was it ever started?",
                    from.display()
                )
            }
            Err(error) => {
                return Err(error).with_context(|| format!("copy `{}`", from.display()));
            }
        }
    }
    bail!("the journal changed too fast to be copied; try again")
}

/// Last, so that a directory without it is no backup.
fn write_manifest(layout: &Layout, engine: Engine, now: Timestamp) -> anyhow::Result<()> {
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        engine: engine.as_str().to_owned(),
        created_at: now,
    };
    let path = layout.manifest();
    fs::write(&path, serde_json::to_vec_pretty(&manifest)?)
        .and_then(|()| fs::File::open(&path)?.sync_all())
        .with_context(|| format!("write `{}`", path.display()))
}
