//! Long lists: pages, exact totals and searches whose time does not grow with the list.
//!
//! Every row of a long list has a *position*, which grows from row to row in the order of the list and is never changed.
//! 512 positions in a row are a *segment*; `list_segments` says how many rows each has, and counts its changes. So the
//! total of a list and the place of a page far into it are sums over segments.
//!
//! What a search or filter lets through is one bit a position. A search that selects little is looked up in
//! its index each time. The bits of one that selects much are remembered beside the change counts of the segments they
//! came from, and only segments that changed since are read again. See `docs/adr/0013-long-lists-are-kept-in-segments.md`.

mod known;
mod matches;
mod segments;

pub(crate) use self::known::Known;
pub(crate) use self::segments::{added, changed, removed};
use crate::error::Result;
use crate::page::PageRequest;
use crate::search::{self, Candidates};
use crate::sql::{MAX_VALUES, Query, Row, query};
use crate::tx::Db;

/// A long list: how its rows are found.
#[derive(Debug)]
pub(crate) struct List {
    /// What it is called in `list_segments` and `search_grams`.
    pub(crate) kind: &'static str,
    /// The table with its rows.
    pub(crate) table: &'static str,
    /// The column with a row's position.
    pub(crate) position: &'static str,
    /// The statement that reads whole rows, up to its conditions.
    pub(crate) select: &'static str,
    /// How the id of a row is made of the text that it has in `search_grams`.
    pub(crate) found_id: &'static str,
}

/// What is found by a search that selects little; one that finds more is remembered instead.
const FEW: usize = 256;

/// Which rows of a list.
pub(crate) struct Wanted<'a, F> {
    /// With this in their text.
    pub(crate) text: Option<&'a str>,
    /// That have what these conditions ask for: appends them to a statement, or nothing.
    pub(crate) filter: F,
    /// Whether those conditions are looked up in an index that has few rows for most of what it can be asked for.
    pub(crate) is_selective: bool,
}

/// A page of the rows that are wanted, and how many there are of them in all.
pub(crate) async fn page(
    db: &mut Db<'_>,
    list: &List,
    wanted: Wanted<'_, impl Fn(&mut Query)>,
    page: PageRequest,
) -> Result<(Vec<Row>, u64)> {
    let text = search::lowered(wanted.text);
    let push = |query: &mut Query| {
        (wanted.filter)(query);
        if let Some(text) = &text {
            search::push_text(query, text);
        }
    };
    let mut condition = query("");
    push(&mut condition);
    if condition.is_empty() {
        return whole(db, list, page).await;
    }
    if !db.store().known().has(list.kind, &condition) {
        let search = search::plan(db, list.kind, wanted.text).await?;
        let positions = match search.and_then(|search| search.candidates) {
            Some(candidates) => few(db, looked_up(list, &candidates, push)).await?,
            _ if wanted.is_selective => few(db, filtered(list, push)).await?,
            _ => None,
        };
        if let Some(positions) = positions {
            let rows = at(db, list, on_page(&positions, page)).await?;
            return Ok((rows, positions.len() as u64));
        }
    }
    let matches = matches::matching(db, list, condition, push).await?;
    let rows = at(db, list, &matches.positions(page)).await?;
    Ok((rows, matches.total()))
}

/// A page of the list with nothing left out.
async fn whole(db: &mut Db<'_>, list: &List, page: PageRequest) -> Result<(Vec<Row>, u64)> {
    let total = segments::sums(db, list.kind).await?.rows;
    let Some((start, skipped)) = segments::with_row(db, list.kind, page.offset).await? else {
        return Ok((Vec::new(), total));
    };
    let mut rows = query(list.select);
    rows.push(" and ");
    rows.push(list.position);
    rows.push(" >= ");
    rows.push_value(start);
    rows.push(" order by ");
    rows.push(list.position);
    rows.push_page(PageRequest {
        offset: page.offset.saturating_sub(skipped),
        ..page
    });
    Ok((db.rows(rows).await?, total))
}

/// The positions that a statement finds, if they are few.
async fn few(db: &mut Db<'_>, mut statement: Query) -> Result<Option<Vec<i64>>> {
    statement.push(" limit ");
    statement.push_value(FEW as u64 + 1);
    let mut positions: Vec<i64> = (db.rows(statement).await?.iter())
        .map(|row| row.get("position"))
        .collect::<Result<_>>()?;
    positions.sort_unstable();
    Ok((positions.len() <= FEW).then_some(positions))
}

/// Finds the positions of the rows that `push` lets through.
fn filtered(list: &List, push: impl Fn(&mut Query)) -> Query {
    let mut statement = query("select ");
    statement.push(list.position);
    statement.push(" as position from ");
    statement.push(list.table);
    statement.push(" where true");
    push(&mut statement);
    statement
}

/// Finds the positions of the rows that a narrow search selects and `push` lets through.
///
/// Each row is a query of its own, and the limit keeps its result one value: so what the index selects is looked up row
/// by row. Engines guess how much that is, and would rather read the whole list than some hundred rows of it.
fn looked_up(list: &List, candidates: &Candidates, push: impl Fn(&mut Query)) -> Query {
    let mut statement = query("select position from (select (select ");
    statement.push(list.position);
    statement.push(" from ");
    statement.push(list.table);
    statement.push(" where id = ");
    statement.push(list.found_id);
    push(&mut statement);
    statement.push(") as position from ");
    candidates.push(&mut statement);
    statement.push(" limit ");
    statement.push_value(i64::MAX);
    statement.push(") as looked_up where position is not null");
    statement
}

fn on_page(positions: &[i64], page: PageRequest) -> &[i64] {
    let start =
        usize::try_from(page.offset).map_or(positions.len(), |offset| offset.min(positions.len()));
    let end = start
        .saturating_add(page.limit as usize)
        .min(positions.len());
    &positions[start..end]
}

/// The rows at these ascending positions.
async fn at(db: &mut Db<'_>, list: &List, positions: &[i64]) -> Result<Vec<Row>> {
    let mut found = Vec::with_capacity(positions.len());
    for piece in positions.chunks(MAX_VALUES) {
        let mut rows = query(list.select);
        rows.push(" and ");
        rows.push(list.position);
        rows.push(" in ");
        rows.push_list(piece.iter().copied());
        rows.push(" order by ");
        rows.push(list.position);
        found.extend(db.rows(rows).await?);
    }
    Ok(found)
}
