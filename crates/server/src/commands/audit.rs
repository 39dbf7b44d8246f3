//! `tollgate audit verify`: whether the audit trail is as it was written.

use anyhow::{Context as _, anyhow};
use tollgate_storage::audit::{self, ChainCheck};

use crate::config::{Environment, Overrides, load};
use crate::failure::Failure;
use crate::installation::Installation;
use crate::output;

pub(super) async fn verify(overrides: &Overrides) -> Result<(), Failure> {
    let loaded = load(overrides, &Environment::of_process())?;
    let installation = Installation::open(&loaded.config).await?;
    let check = audit::verify(&installation.store)
        .await
        .context("read the audit trail")?;
    installation.store.close().await;
    match check {
        ChainCheck::Intact { entries } => {
            output::line(format_args!("the audit trail is intact: {entries} entries"));
            Ok(())
        }
        ChainCheck::Broken { position } => Err(Failure::Other(anyhow!(
            "the audit trail is broken at entry {position}: it was changed, or one before it was removed"
        ))),
    }
}
