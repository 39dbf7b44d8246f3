//! `tollgate api-keys create`: the way back in when the management key is lost. Whoever can run it can read the
//! database and the master key anyway.

use secrecy::ExposeSecret as _;

use crate::bootstrap::create_management_key;
use crate::cli::ApiKeyArgs;
use crate::config::{Environment, load};
use crate::failure::Failure;
use crate::installation::Installation;
use crate::output;

pub(super) async fn create(args: ApiKeyArgs) -> Result<(), Failure> {
    let loaded = load(&args.common.into(), &Environment::of_process())?;
    let installation = Installation::open(&loaded.config).await?;
    let secret = create_management_key(&installation.founding(), &args.name).await?;
    output::line(secret.expose_secret());
    installation.store.close().await;
    Ok(())
}
