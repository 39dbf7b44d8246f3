//! `tollgate migrate`: the database to this version's layout, and nothing else.

use crate::config::{Environment, Overrides, load};
use crate::failure::Failure;
use crate::installation::Installation;
use crate::output;

pub(super) async fn run(overrides: &Overrides) -> Result<(), Failure> {
    let loaded = load(overrides, &Environment::of_process())?;
    let installation = Installation::open(&loaded.config).await?;
    output::line(format_args!(
        "the {} database has the layout of version {}",
        installation.store.engine().as_str(),
        env!("CARGO_PKG_VERSION")
    ));
    installation.store.close().await;
    Ok(())
}
