//! `tollgate journal verify` and `repair`.

use anyhow::{Context as _, anyhow};
use tollgate_ledger::Damage;

use crate::config::{Environment, Overrides, load};
use crate::failure::Failure;
use crate::output;

pub(super) fn verify(overrides: &Overrides) -> Result<(), Failure> {
    let loaded = load(overrides, &Environment::of_process())?;
    let data_dir = &loaded.config.data_dir;
    let report = tollgate_ledger::verify(data_dir)
        .with_context(|| format!("read the journal in `{}`", data_dir.display()))?;
    match report.journal {
        Some(id) => output::line(format_args!("journal {id}")),
        None if report.segments.is_empty() => output::line("no segments"),
        None => output::line("no segment tells which journal it is of"),
    }
    for segment in &report.segments {
        output::line(format_args!(
            "segment {}: {} bytes, {} records",
            segment.number, segment.bytes, segment.records
        ));
        if !segment.has_header {
            output::line("  its header does not read");
        }
        for damage in &segment.damage {
            output::line(format_args!("  {}", describe(damage)));
        }
    }
    output::line(format_args!(
        "on disk up to byte {} of segment {}; {} holds without an end; ${} settled",
        report.watermark.offset, report.watermark.segment, report.open_holds, report.settled
    ));
    if report.is_sound() {
        Ok(())
    } else {
        Err(Failure::Other(anyhow!(
            "the journal is damaged; `tollgate journal repair` keeps what is readable"
        )))
    }
}

pub(super) fn repair(overrides: &Overrides) -> Result<(), Failure> {
    let loaded = load(overrides, &Environment::of_process())?;
    let data_dir = &loaded.config.data_dir;
    let report = tollgate_ledger::repair(data_dir)
        .with_context(|| format!("repair the journal in `{}`", data_dir.display()))?;
    if report.kept.is_empty() {
        output::line("nothing to repair");
    }
    for path in &report.kept {
        output::line(format_args!("kept a copy as it was: {}", path.display()));
    }
    for (segment, damage) in &report.skipped {
        output::line(format_args!("segment {segment}: {}", describe(damage)));
    }
    Ok(())
}

fn describe(damage: &Damage) -> String {
    let kind = if damage.is_tail {
        "a torn end, which the next start sets aside"
    } else {
        "damage"
    };
    format!("{} bytes at {}: {kind}", damage.bytes, damage.offset)
}
