//! The few lines that commands print to stdout. Logs go to stderr and never through here.

use std::io::Write as _;

/// Prints a line. A closed stdout is no reason to fail: whoever closed it does not want the line.
pub(crate) fn line(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Prints the error that ends the process, with its chain of causes.
pub(crate) fn failure(error: &anyhow::Error) {
    let _ = writeln!(std::io::stderr().lock(), "tollgate: {error:#}");
}
