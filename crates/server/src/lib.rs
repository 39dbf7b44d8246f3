//! The tollgate binary: command line, configuration, wiring, workers, lifecycle.
//!
//! Everything else is in the other crates; this one reads the configuration, opens what they need, connects them, and
//! takes them down in order. It decides nothing about access or money.
//!
//! Start reading at [`main`], then `commands/serve.rs`, which is the whole start-up in order. Unit tests are beside the
//! code; `tests/it` starts the real binary.

pub mod config;

mod backup;
mod bootstrap;
mod cli;
mod commands;
mod failure;
mod installation;
mod lifecycle;
mod listeners;
mod master_key;
mod metrics;
mod output;
mod planes;
mod policy;
mod publisher;
mod run_file;
mod telemetry;
mod web;
mod workers;

use std::process::ExitCode;

use clap::Parser as _;

/// Runs the command that the command line names.
pub fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(failure.error());
            failure.code()
        }
    }
}
