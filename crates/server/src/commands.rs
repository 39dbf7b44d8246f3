//! What each subcommand does.

mod api_keys;
mod audit;
mod backup;
mod config_check;
mod healthcheck;
mod journal;
mod master_key;
mod migrate;
mod postgres_tools;
mod restore;
mod serve;

use anyhow::Context as _;
use tokio::runtime::Runtime;

use crate::cli::{
    ApiKeysCommand, AuditCommand, Command, ConfigCommand, JournalCommand, MasterKeyCommand,
};
use crate::failure::Failure;
use crate::output;

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => serve::run(&serve.into()),
        Command::Config(ConfigCommand::Check(serve)) => config_check::run(&serve.into()),
        Command::Migrate(common) => block_on(migrate::run(&common.into())),
        Command::ApiKeys(ApiKeysCommand::Create(args)) => block_on(api_keys::create(args)),
        Command::MasterKey(MasterKeyCommand::Rotate(args)) => block_on(master_key::rotate(args)),
        Command::Journal(JournalCommand::Verify(common)) => journal::verify(&common.into()),
        Command::Journal(JournalCommand::Repair(common)) => journal::repair(&common.into()),
        Command::Backup(args) => block_on(backup::run(args)),
        Command::Restore(args) => restore::run(args),
        Command::Audit(AuditCommand::Verify(common)) => block_on(audit::verify(&common.into())),
        Command::Healthcheck(common) => block_on(healthcheck::run(&common.into())),
        Command::Openapi => {
            output::line(tollgate_management::openapi_json().trim_end());
            Ok(())
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    runtime()?.block_on(command)
}

fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")
}
