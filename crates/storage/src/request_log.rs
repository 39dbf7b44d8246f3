//! The request log, which the fold writes, and sums over it.
//!
//! The log is kept in blocks of some hundred requests (see `docs/adr/0007-the-request-log-is-kept-in-blocks.md`).
//! Everything that a filter can name, shadows aside, is a column of the [`sums`], so those say which stretches, days and
//! hours have such requests and how many, and only the blocks of the hours on the page are read.

pub(crate) mod block;
pub(crate) mod blocks;
pub(crate) mod convert;
mod names;
mod search;
pub mod stats;
pub(crate) mod sums;
mod walk;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::{LogEntry, Outcome};
use tollgate_domain::ids::{ProfileId, RequestId, UserId, VirtualKeyId};
use tollgate_domain::provider::ProviderName;

pub use self::walk::Walk;
use crate::error::Result;
use crate::page::PageRequest;
use crate::tx::{Db, Tx};

/// Which requests.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogFilter {
    /// Admitted at this instant or later.
    pub from: Option<Timestamp>,
    /// Admitted before this instant.
    pub to: Option<Timestamp>,
    /// With this key.
    pub key: Option<VirtualKeyId>,
    /// Of this user.
    pub user: Option<UserId>,
    /// Paid by a copy of this profile.
    pub profile: Option<ProfileId>,
    /// Sent to this provider.
    pub provider: Option<ProviderName>,
    /// For this model.
    pub model: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// Only those, or only others, that a profile in shadow mode would have refused. The sums do not know it, so the log of
    /// the whole time is looked through.
    pub is_shadowed: Option<bool>,
    /// With this in a name, regardless of case.
    pub search: Option<String>,
    /// In which names.
    pub search_in: SearchIn,
}

/// Where a part of a name is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SearchIn {
    /// In the provider's and the model's; either is enough.
    #[default]
    ProvidersAndModels,
    /// In the provider's.
    Providers,
    /// In the model's.
    Models,
}

impl SearchIn {
    const fn has_providers(self) -> bool {
        !matches!(self, Self::Models)
    }

    const fn has_models(self) -> bool {
        !matches!(self, Self::Providers)
    }
}

/// A row of the request log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Who asked for what, who paid, and how it ended.
    pub entry: LogEntry,
    /// When a charge in doubt was corrected.
    pub resolved_at: Option<Timestamp>,
}

impl LogFilter {
    /// Whether it asks for more than a time.
    const fn has_dimensions(&self) -> bool {
        self.key.is_some()
            || self.user.is_some()
            || self.profile.is_some()
            || self.provider.is_some()
            || self.model.is_some()
            || self.outcome.is_some()
            || self.is_shadowed.is_some()
            || self.search.is_some()
    }

    /// The same, for the time from `from` and before `to`.
    fn within(&self, from: Timestamp, to: Timestamp) -> Self {
        Self {
            from: Some(from),
            to: Some(to),
            ..self.clone()
        }
    }
}

/// One request.
pub async fn find(db: impl Into<Db<'_>>, id: RequestId) -> Result<Option<LoggedRequest>> {
    let found = blocks::holding(&mut db.into(), id).await?;
    Ok(found.and_then(|(_, block)| block.find(id)))
}

/// The requests that `filter` lets through, newest first. How many there are in all is [`count`]'s to say.
pub async fn list(
    db: impl Into<Db<'_>>,
    filter: &LogFilter,
    page: PageRequest,
) -> Result<Vec<LoggedRequest>> {
    let db = &mut db.into();
    let filter = names::narrowed(db, filter).await?;
    search::list(db, &filter, page).await
}

/// How many requests `filter` lets through. Whole hours are read from the sums and only what is left at either
/// end from the log, so that a long log is not counted.
pub async fn count(db: impl Into<Db<'_>>, filter: &LogFilter) -> Result<u64> {
    let db = &mut db.into();
    let filter = names::narrowed(db, filter).await?;
    search::count(db, &filter).await
}

/// Removes requests that were admitted before `before`, at most `limit`; sums and counters stay. Returns how many;
/// callers go on until there are none.
pub async fn forget(tx: &mut Tx, before: Timestamp, limit: u32) -> Result<u64> {
    blocks::forget(tx, before, limit).await
}
