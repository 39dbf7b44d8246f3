//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Overrides;
use crate::telemetry::VERSION;

/// An open access-governance gateway for AI.
#[derive(Parser)]
#[command(name = "tollgate", version = VERSION, about, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the data plane and the management API
    Serve(ServeArgs),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring the database to this version's schema
    Migrate(Common),
    /// Management keys
    #[command(subcommand)]
    ApiKeys(ApiKeysCommand),
    /// The key that encrypts secrets at rest
    #[command(subcommand)]
    MasterKey(MasterKeyCommand),
    /// The accounting journal in the data directory
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Copy database and journal, which belong together, into a directory
    Backup(BackupArgs),
    /// Bring a backup back into an empty data directory and database
    Restore(RestoreArgs),
    /// Print the description of the management API
    Openapi,
    /// Ask a running server on this host whether it is ready; exit code 0 = yes
    Healthcheck(Common),
    /// The audit log
    #[command(subcommand)]
    Audit(AuditCommand),
}

/// What every command that touches state takes.
#[derive(Args, Clone)]
pub(crate) struct Common {
    /// Configuration file [env: TOLLGATE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory of journal, SQLite database and key file [env: TOLLGATE_DATA_DIR] [default: ./data]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// `postgres://…` or `sqlite:…` [env: TOLLGATE_DATABASE_URL] [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
}

#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    common: Common,
    /// Where everything is served [env: TOLLGATE_LISTEN] [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Moves the management API and metrics to a listener of their own [env: TOLLGATE_MANAGEMENT_LISTEN]
    #[arg(long, value_name = "ADDRESS")]
    management_listen: Option<SocketAddr>,
    /// Adds a sandbox provider and keys to try it with [env: TOLLGATE_DEMO]
    #[arg(long)]
    demo: bool,
}

#[derive(Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check everything without starting, and print each value with its source
    Check(ServeArgs),
}

#[derive(Subcommand)]
pub(crate) enum ApiKeysCommand {
    /// Make a management key with all permissions and print it once
    Create(ApiKeyArgs),
}

#[derive(Args)]
pub(crate) struct ApiKeyArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// For people
    #[arg(long, default_value = "recovery")]
    pub(crate) name: String,
}

#[derive(Subcommand)]
pub(crate) enum MasterKeyCommand {
    /// Encrypt every secret again under a new key; the server must be stopped
    Rotate(RotateArgs),
}

#[derive(Args)]
pub(crate) struct RotateArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// File with the new key; needed when the key is configured, else a new one is made in the data directory
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum JournalCommand {
    /// Read the whole journal and report its state
    Verify(Common),
    /// Make damaged pieces harmless, keeping copies of the damaged segments; the server must be stopped
    Repair(Common),
}

#[derive(Args)]
pub(crate) struct BackupArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Directory to make; it must not exist
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Directory that `tollgate backup` made
    #[arg(long, value_name = "DIR")]
    pub(crate) from: PathBuf,
}

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no entry was changed, removed or put in between
    Verify(Common),
}

impl From<Common> for Overrides {
    fn from(common: Common) -> Self {
        Self {
            config: common.config,
            data_dir: common.data_dir,
            database_url: common.database_url,
            ..Self::default()
        }
    }
}

impl From<ServeArgs> for Overrides {
    fn from(serve: ServeArgs) -> Self {
        Self {
            listen: serve.listen,
            management_listen: serve.management_listen,
            demo: serve.demo,
            ..serve.common.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
