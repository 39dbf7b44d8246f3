//! `cargo xtask ci`: what a change is judged by, cheapest step first.
//!
//! Every step runs even when an earlier one failed, so that one run tells everything. Lints and
//! documentation share the metadata of the dependencies, tests and end-to-end tests share the
//! compiled ones; nothing is built a third time.

use std::fs;
use std::process::{Command, ExitCode};
#[expect(
    clippy::disallowed_types,
    reason = "how long a step took on this machine is the point"
)]
use std::time::Instant;

use anyhow::bail;

use crate::report::{self, Counts};
use crate::{prepare, shell, tidy};

type Step = (&'static str, fn() -> anyhow::Result<Counts>);

const STEPS: [Step; 8] = [
    ("prepare", || prepare::run().map(|()| Counts::default())),
    ("fmt", || {
        check(shell::cargo().args(["fmt", "--all", "--check"]))
    }),
    ("tidy", || tidy::run().map(|()| Counts::PASSED)),
    ("typos", || {
        check(&mut shell::command(prepare::python_tool("typos")))
    }),
    ("clippy", || check(shell::cargo().args(CLIPPY))),
    ("tests", tests),
    ("doc", || {
        check(shell::cargo().args(DOC).env("RUSTDOCFLAGS", "-D warnings"))
    }),
    ("e2e", end_to_end),
];

const CLIPPY: [&str; 7] = [
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];
const DOC: [&str; 5] = [
    "doc",
    "--workspace",
    "--no-deps",
    "--document-private-items",
    "--locked",
];

/// Runs all steps and prints the sum as the last line.
pub(crate) fn run() -> ExitCode {
    let mut sum = Counts::default();
    let mut table = Vec::new();
    for (name, step) in STEPS {
        println!("\n=== {name}");
        #[expect(clippy::disallowed_types, reason = "see the import")]
        let started = Instant::now();
        let counts = step().unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Counts::FAILED
        });
        table.push((name, counts, started.elapsed().as_secs()));
        sum += counts;
    }
    println!(
        "\n{:<10}{:>8}{:>8}{:>8}{:>9}",
        "step", "passed", "failed", "skipped", "seconds"
    );
    for (
        name,
        Counts {
            passed,
            failed,
            skipped,
        },
        seconds,
    ) in table
    {
        println!("{name:<10}{passed:>8}{failed:>8}{skipped:>8}{seconds:>9}");
    }
    println!("\n{} passed, {} failed", sum.passed, sum.failed);
    if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// A step that either passes or fails as a whole.
fn check(command: &mut Command) -> anyhow::Result<Counts> {
    shell::run(command).map(|()| Counts::PASSED)
}

/// All Rust tests. What counts is the report; an exit status that contradicts it is a failure.
fn tests() -> anyhow::Result<Counts> {
    // The runner keeps its reports beside the sources, whatever the build directory.
    let path = shell::root().join("target/nextest/ci/junit.xml");
    counted(
        &path,
        shell::command(prepare::nextest()?)
            .args([
                "nextest",
                "run",
                "--workspace",
                "--locked",
                "--profile",
                "ci",
            ])
            .env("INSTA_UPDATE", "no"),
    )
}

/// The tests in `e2e/` drive the real binary with the clients that users have.
fn end_to_end() -> anyhow::Result<Counts> {
    if !shell::root().join("e2e").is_dir() {
        println!("no `e2e` directory");
        return Ok(Counts::default());
    }
    shell::run(shell::cargo().args(["build", "-p", "tollgate-server", "--locked"]))?;
    let path = shell::target_dir().join("e2e/junit.xml");
    counted(
        &path,
        shell::command(prepare::python_tool("python"))
            .args([
                "-m",
                "pytest",
                "e2e",
                "--color=no",
                "-p",
                "no:cacheprovider",
            ])
            .arg(format!("--junitxml={}", path.display()))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env(
                "TOLLGATE_BINARY",
                shell::target_dir().join("debug/tollgate"),
            ),
    )
}

fn counted(report: &std::path::Path, command: &mut Command) -> anyhow::Result<Counts> {
    // A report of an earlier run must not be counted.
    if report.exists() {
        fs::remove_file(report)?;
    }
    let outcome = shell::run(command);
    match (report::read(report), outcome) {
        (Ok(counts), Err(error)) if counts.failed == 0 => bail!(error),
        (Ok(counts), _) => Ok(counts),
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
    }
}
