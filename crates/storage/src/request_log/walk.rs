//! Through the log in the order in which requests were admitted, block by block.

use std::collections::BTreeMap;

use tollgate_domain::Timestamp;
use tollgate_domain::accounting::LogEntry;
use tollgate_domain::ids::RequestId;

use super::LogFilter;
use super::blocks::{self, Place};
use crate::error::Result;
use crate::tx::Db;

/// A walk through a time of the log.
///
/// Blocks are filled as requests end, so a request that took long stands in a later block than its neighbours. What was
/// read too early waits; that is no more than what ended while the longest request of a block ran.
#[derive(Debug)]
pub struct Walk {
    from: Timestamp,
    to: Timestamp,
    /// The blocks that are left; the one that begins first is last.
    places: Vec<Place>,
    waiting: BTreeMap<(Timestamp, RequestId), LogEntry>,
}

impl Walk {
    /// Begins with what was admitted at `from`, and ends before `to`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn start(db: impl Into<Db<'_>>, from: Timestamp, to: Timestamp) -> Result<Self> {
        let mut db = db.into();
        let mut places = match blocks::reach(&mut db).await? {
            Some(reach) => {
                let everything = LogFilter::default();
                blocks::overlapping(&mut db, reach, &[(from, to)], &everything).await?
            }
            None => Vec::new(),
        };
        places.sort_by_key(|place| std::cmp::Reverse((place.first_at, place.id)));
        Ok(Self {
            from,
            to,
            places,
            waiting: BTreeMap::new(),
        })
    }

    /// The next requests that are `wanted`: some, none in this part of the log, or `None` at the end.
    ///
    /// # Errors
    /// When the database fails or holds damaged data.
    pub async fn next(
        &mut self,
        db: impl Into<Db<'_>>,
        wanted: impl Fn(&LogEntry) -> bool + Send + Sync,
    ) -> Result<Option<Vec<LogEntry>>> {
        let Some(place) = self.places.pop() else {
            let rest = std::mem::take(&mut self.waiting);
            let rest: Vec<LogEntry> = rest.into_values().collect();
            return Ok((!rest.is_empty()).then_some(rest));
        };
        // One that was forgotten meanwhile is empty.
        if let Some(block) = blocks::read(&mut db.into(), place.id).await? {
            let entries = block.requests().map(|logged| logged.entry);
            let time = self.from..self.to;
            self.waiting.extend(
                entries
                    .filter(|entry| time.contains(&entry.facts.at) && wanted(entry))
                    .map(|entry| ((entry.facts.at, entry.facts.request), entry)),
            );
        }
        let Some(next) = self.places.last() else {
            return Ok(Some(Vec::new()));
        };
        // A block that is left may have what was admitted when it begins.
        let later = self
            .waiting
            .split_off(&(next.first_at, RequestId::from_uuid(uuid::Uuid::nil())));
        let ready = std::mem::replace(&mut self.waiting, later);
        Ok(Some(ready.into_values().collect()))
    }
}
