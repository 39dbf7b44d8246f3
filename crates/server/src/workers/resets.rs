//! Sets usage back to zero that changes of profiles asked for and that was not done at once: the process died in between,
//! or the ledger took no writes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tollgate_management::ManagementState;

/// Pause between two looks at what was asked for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Looks until `stop`. What the database has already, the ledger does not do again.
pub(crate) async fn reset_usage(management: ManagementState, stop: CancellationToken) {
    let mut is_failing = false;
    loop {
        match management.apply_resets().await {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!("usage is set back to zero again");
            }
            Ok(()) => {}
            Err(error) if is_failing => tracing::debug!(%error, "usage still waits to be reset"),
            Err(error) => {
                is_failing = true;
                tracing::warn!(%error, "usage waits to be set back to zero; it is tried again");
            }
        }
        let pause = tokio::time::sleep(LOOK_EVERY);
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}
