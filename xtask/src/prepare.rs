//! `cargo xtask prepare`: installs what the tests need and the machine lacks.
//!
//! Debian packages for what has to come from the system, a private Python environment under the
//! build directory for the rest. A machine that has everything is left alone.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::shell;

/// The test runner, installed from crates.io when the machine has none.
const NEXTEST_VERSION: &str = "0.9.143";
/// Pinned tools for the Python environment, beside what `e2e/requirements.txt` asks for.
const PYTHON_TOOLS: &str = "typos==1.52.0\n";

/// Installs what is missing.
pub(crate) fn run() -> anyhow::Result<()> {
    let mut packages = Vec::new();
    if postgres().is_none() {
        packages.push("postgresql");
    }
    if !shell::succeeds(shell::command("python3").args(["-c", "import ensurepip, venv"])) {
        packages.push("python3-venv");
    }
    if !packages.is_empty() {
        install(&packages)?;
    }
    python_environment()?;
    nextest()?;
    Ok(())
}

/// A program of the private Python environment.
pub(crate) fn python_tool(name: &str) -> PathBuf {
    environment().join("bin").join(name)
}

/// The path of `cargo-nextest`.
pub(crate) fn nextest() -> anyhow::Result<PathBuf> {
    if let Some(found) = in_path("cargo-nextest") {
        return Ok(found);
    }
    let tools = shell::target_dir().join("tools");
    let binary = tools.join("bin/cargo-nextest");
    if !binary.exists() {
        let version = ["--version", NEXTEST_VERSION];
        shell::run(
            shell::cargo()
                .args(["install", "cargo-nextest", "--locked", "--root"])
                .arg(&tools)
                .args(version),
        )?;
    }
    Ok(binary)
}

/// The server programs of PostgreSQL; Debian keeps them out of the search path.
fn postgres() -> Option<PathBuf> {
    in_path("initdb").or_else(|| {
        fs::read_dir("/usr/lib/postgresql")
            .ok()?
            .filter_map(Result::ok)
            .map(|version| version.path().join("bin/initdb"))
            .find(|initdb| initdb.exists())
    })
}

fn in_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}

fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let is_root = shell::output(shell::command("id").arg("-u"))?.trim() == "0";
    if !is_root || in_path("apt-get").is_none() {
        bail!("install `{list}` (Debian names) and run this again");
    }
    println!("installing {list}");
    shell::run(shell::command("apt-get").args(["update", "-q"]))?;
    shell::run(
        shell::command("apt-get")
            .args(["install", "-q", "-y", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn environment() -> PathBuf {
    shell::target_dir().join("venv")
}

/// Makes the environment, and remakes it when what it should hold has changed.
fn python_environment() -> anyhow::Result<()> {
    let wanted = shell::root().join("e2e/requirements.txt");
    let mut requirements = PYTHON_TOOLS.to_owned();
    if wanted.exists() {
        requirements += &fs::read_to_string(&wanted).context("read `e2e/requirements.txt`")?;
    }
    let environment = environment();
    let installed = environment.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == requirements) {
        return Ok(());
    }
    fresh_directory(&environment)?;
    shell::run(
        shell::command("python3")
            .args(["-m", "venv"])
            .arg(&environment),
    )?;
    let list = environment.join("wanted.txt");
    fs::write(&list, &requirements)?;
    shell::run(
        shell::command(python_tool("python"))
            .args([
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                "-r",
            ])
            .arg(&list),
    )?;
    // Written last: an interrupted installation is done again.
    fs::rename(&list, &installed).context("note what was installed")
}

fn fresh_directory(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("remove `{}`", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("create `{}`", path.display()))
}
