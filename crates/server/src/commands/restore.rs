//! `tollgate restore`: a backup into an empty data directory and database.

use std::fs;

use anyhow::{Context as _, bail};
use tollgate_storage::Engine;

use super::postgres_tools::{database_name, run as run_tool, tool};
use crate::backup::{Layout, copy_files, journal_in, read_manifest};
use crate::cli::RestoreArgs;
use crate::config::{Config, Environment, load};
use crate::failure::Failure;
use crate::installation::{database_url, make_data_dir, sqlite_file};
use crate::output;

pub(super) fn run(args: RestoreArgs) -> Result<(), Failure> {
    let loaded = load(&args.common.into(), &Environment::of_process())?;
    let config = loaded.config;
    let layout = Layout(args.from);
    let manifest = read_manifest(&layout)?;
    let journal = journal_in(&config.data_dir);
    if journal.exists() {
        return Err(anyhow::anyhow!(
            "`{}` exists; restore into an empty data directory",
            journal.display()
        )
        .into());
    }
    make_data_dir(&config.data_dir)?;
    restore_database(&config, &layout, &manifest.engine)?;
    copy_files(&layout.journal(), &journal)
        .with_context(|| format!("copy the journal to `{}`", journal.display()))?;
    output::line(format_args!(
        "restored the backup of {}; start with the master key that it was made with",
        manifest.created_at
    ));
    Ok(())
}

fn restore_database(config: &Config, layout: &Layout, engine: &str) -> anyhow::Result<()> {
    let sqlite = sqlite_file(config);
    let own = match &sqlite {
        Some(_) => Engine::Sqlite,
        None => Engine::Postgres,
    };
    if own.as_str() != engine {
        bail!(
            "the backup is of a {engine} database and `database.url` names a {} one",
            own.as_str()
        );
    }
    if let Some(path) = sqlite {
        if path.exists() {
            bail!("`{}` exists; restore into an empty place", path.display());
        }
        return fs::copy(layout.sqlite(), &path)
            .and_then(|_| fs::File::open(&path)?.sync_all())
            .with_context(|| format!("copy the database to `{}`", path.display()));
    }
    let database = database_url(config);
    let mut restore = tool("pg_restore", &database)?;
    restore
        .args(["--single-transaction", "--exit-on-error", "--no-owner"])
        .args(["--no-privileges", "--dbname"])
        .arg(database_name(&database)?)
        .arg(layout.postgres());
    run_tool(&mut restore)
}
