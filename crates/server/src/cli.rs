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
