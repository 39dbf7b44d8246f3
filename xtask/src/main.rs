//! Repository tasks, run as `cargo xtask <task>`.
//!
//! One file per task. Nothing of the product depends on this program, and it depends on no
//! crate of the product, so that it builds in seconds on a fresh machine.
#![expect(
    clippy::print_stdout,
    reason = "a task talks to the person who runs it"
)]

mod catalog;
mod ci;
mod prepare;
mod report;
mod shell;
mod tidy;

use std::process::ExitCode;

use clap::Parser;

/// Repository tasks.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Makes the embedded table of model prices from the data inside two PyPI packages.
    Catalog,
    /// Runs everything a change is judged by; the last line sums what passed.
    Ci,
    /// Installs what the tests need and the machine lacks.
    Prepare,
    /// Checks the repository rules: file lengths, crate directions, migration pairs, licences.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Ci => return ci::run(),
        Task::Catalog => catalog::run(),
        Task::Prepare => prepare::run(),
        Task::Tidy => tidy::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
