//! `cargo xtask tidy`: repository rules that no compiler checks.
//!
//! Each rule is a function from the tracked files, or from cargo's metadata, to complaints. All
//! complaints are reported together.

mod decisions;
mod dependencies;
mod files;
mod migrations;
mod words;

use std::fs;

use anyhow::{Context as _, bail};

use crate::shell;

/// A tracked text file and where it is, relative to the root.
struct SourceFile {
    path: String,
    text: String,
}

/// Runs every rule.
pub(crate) fn run() -> anyhow::Result<()> {
    let files = tracked_files()?;
    let mut complaints = Vec::new();
    complaints.extend(files::complaints(&files));
    complaints.extend(words::complaints(&files));
    complaints.extend(migrations::complaints(&files));
    complaints.extend(decisions::complaints(&files));
    complaints.extend(dependencies::complaints()?);
    for note in files::notes(&files) {
        println!("note: {note}");
    }
    for complaint in &complaints {
        println!("error: {complaint}");
    }
    if !complaints.is_empty() {
        bail!("{} broken repository rules", complaints.len());
    }
    println!("{} files keep the repository rules", files.len());
    Ok(())
}

/// The files that git knows or would add; what is not text is left out.
fn tracked_files() -> anyhow::Result<Vec<SourceFile>> {
    let list = shell::output(shell::command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))
    .context("list the files of the repository")?;
    let read = |path: &str| {
        let text = fs::read_to_string(shell::root().join(path)).ok()?;
        Some(SourceFile {
            path: path.to_owned(),
            text,
        })
    };
    Ok(list.lines().filter_map(read).collect())
}
