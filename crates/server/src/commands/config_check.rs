//! `tollgate config check`: everything that a start would refuse, without starting.

use crate::config::{Environment, Overrides, load, report};
use crate::failure::Failure;
use crate::listeners::TlsKeys;
use crate::output;

pub(super) fn run(overrides: &Overrides) -> Result<(), Failure> {
    let loaded = load(overrides, &Environment::of_process())?;
    if let (Some(cert), Some(key)) = (&loaded.config.tls.cert_file, &loaded.config.tls.key_file) {
        TlsKeys::read(cert, key).map_err(Failure::Config)?;
    }
    output::line(report(&loaded).trim_end());
    Ok(())
}
