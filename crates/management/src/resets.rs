//! Usage that is to be set back to zero: asked for in a transaction, done once by the ledger.

use tollgate_domain::live::AdjustError;
use tollgate_storage::{StorageError, resets};

use crate::problem::Problem;
use crate::state::ManagementState;

/// Why usage was not set back to zero. What was asked for stays asked for.
#[derive(Debug, thiserror::Error)]
pub enum ResetError {
    /// The database did not say what was asked for.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The ledger did not do it.
    #[error(transparent)]
    Ledger(#[from] AdjustError),
}

impl ManagementState {
    /// Sets back to zero what changes of profiles have asked for and the ledger has not done yet, each once.
    ///
    /// Operations call it when they are stored. It is for the start, after a process that died in between, and for the
    /// time after a ledger that took no writes.
    ///
    /// # Errors
    /// When the database does not answer, or the ledger takes no writes.
    pub async fn apply_resets(&self) -> Result<(), ResetError> {
        // The ledger forgets what is no longer asked for, so nobody may come with an older list than it has seen.
        let _turn = self.resetting().await;
        let parts = self.parts();
        let pending = resets::list(&parts.store).await?;
        if !pending.is_empty() {
            parts.live.reset(&pending, parts.clock.now())?;
        }
        Ok(())
    }
}

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::Storage(error) => error.into(),
            ResetError::Ledger(error) => error.into(),
        }
    }
}
