//! Pages of lists.

use crate::error::Result;
use crate::sql::{Query, Row, query};
use crate::tx::Db;

/// Which part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// At most so many rows.
    pub limit: u32,
    /// After so many rows.
    pub offset: u64,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: 25,
            offset: 0,
        }
    }
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// How many rows the whole list has.
    pub total: u64,
}

/// A list that is short, or narrowed by something with an index: its total is counted. Longer ones are in
/// [`lists`](crate::lists).
#[derive(Debug)]
pub(crate) struct Counted {
    /// The table with its rows.
    pub(crate) table: &'static str,
    /// The statement that reads rows, up to its conditions.
    pub(crate) select: &'static str,
    /// The columns that order it.
    pub(crate) order: &'static str,
}

impl Counted {
    /// A page of the rows that `filter` lets through, which appends conditions, and how many there are in all.
    pub(crate) async fn page<T>(
        &self,
        db: &mut Db<'_>,
        filter: impl Fn(&mut Query),
        page: PageRequest,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Page<T>> {
        let mut count = query("select count(*) as amount from ");
        count.push(self.table);
        count.push(" where true");
        filter(&mut count);
        let total = db.count(count).await?;
        let items = self.items(db, filter, page, read).await?;
        Ok(Page { items, total })
    }

    /// As [`Self::page`], for a list whose total is known otherwise.
    pub(crate) async fn items<T>(
        &self,
        db: &mut Db<'_>,
        filter: impl Fn(&mut Query),
        page: PageRequest,
        read: impl Fn(&Row) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = query(self.select);
        filter(&mut rows);
        rows.push(" order by ");
        rows.push(self.order);
        rows.push_page(page);
        db.rows(rows).await?.iter().map(read).collect()
    }
}
