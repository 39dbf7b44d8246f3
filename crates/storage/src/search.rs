//! Search in names that does not read whole tables.
//!
//! Every searchable row keeps its lower-cased text in `search_text`, and every three-letter piece of it in
//! `search_grams`. A search takes the candidates that have the two rarest pieces of the wanted text, or the one that is
//! rare and some of the common ones, and compares only those. When every piece is common, the index selects too little:
//! [`lists`](crate::lists) says what happens then.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::sql::{Query, Row, Value, query};
use crate::tx::{Db, Tx};

const GRAM: usize = 3;
/// A piece that so many rows have selects too little to be worth a look-up.
const COMMON: i64 = 500;
/// Only so much of a text is indexed; names are shorter.
const INDEXED_CHARS: usize = 512;
/// Only so many pieces of a wanted text are looked at, and as many again.
const LOOKED_AT: usize = 64;
/// So few pieces are counted all at once. Of more, those are counted first that say the most.
const COUNTED_AT_ONCE: usize = 8;
/// With one rare piece, what has it is asked for so many others before its row is read. Four that lie side by side are
/// twelve letters, which few rows share by chance.
const ASKED_FOR: usize = 4;

/// The text that is searched for a row with these parts.
pub(crate) fn text(parts: &[&str]) -> String {
    parts.join("\n").to_lowercase()
}

/// The text that a row of `table` was found by until now, which says what the index has of it; empty when there is no such
/// row.
pub(crate) async fn text_before(
    tx: &mut Tx,
    table: &'static str,
    id: impl Into<Value>,
) -> Result<String> {
    let mut statement = query("select search_text from ");
    statement.push(table);
    statement.push(" where id = ");
    statement.push_value(id);
    let row = tx.row(statement).await?;
    row.map_or_else(|| Ok(String::new()), |row| row.get("search_text"))
}

/// Makes `id` findable by the text `after`, and no longer by the text `before`; either may be empty.
pub(crate) async fn index(
    tx: &mut Tx,
    kind: &'static str,
    id: &str,
    before: &str,
    after: &str,
) -> Result<()> {
    let (before, after) = (grams(before), grams(after));
    // Most changes of a row leave most of its text as it was.
    let gone: Vec<&String> = before.difference(&after).collect();
    for piece in gone.chunks(200) {
        let mut delete =
            query("delete from search_grams where kind = $1 and entity_id = $2 and gram in ")
                .bind(kind)
                .bind(id);
        delete.push_list(piece.iter().map(|gram| gram.as_str()));
        tx.execute(delete).await?;
    }
    let new: Vec<&String> = after.difference(&before).collect();
    // Three values a row, far below the number of placeholders that both engines take.
    for piece in new.chunks(200) {
        let mut insert = query("insert into search_grams (kind, gram, entity_id) values ");
        let mut separator = "";
        for gram in piece {
            insert.push(separator);
            insert.push_list([kind, gram.as_str(), id]);
            separator = ", ";
        }
        insert.push(" on conflict (kind, gram, entity_id) do nothing");
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Makes `id` unfindable, whose row was deleted and had `search_text`.
pub(crate) async fn remove(tx: &mut Tx, kind: &'static str, id: &str, deleted: &Row) -> Result<()> {
    let text: String = deleted.get("search_text")?;
    index(tx, kind, id, &text, "").await
}

/// A search, with its way through the index chosen.
pub(crate) struct Search {
    wanted: String,
    /// `None` when every piece is common, so that the index selects too little.
    pub(crate) candidates: Option<Candidates>,
}

/// The few rows that the index selects.
pub(crate) struct Candidates {
    kind: &'static str,
    rarest: String,
    others: Others,
}

/// What the candidates have beside the rarest piece.
enum Others {
    /// One that is rare too.
    Rare(String),
    /// These, which the index is asked for one by one: its entries lie side by side, and the rows they stand for all over
    /// their table.
    Common(Vec<String>),
}

/// The text that is looked for; `None` when nothing is wanted.
pub(crate) fn lowered(wanted: Option<&str>) -> Option<String> {
    let wanted = wanted.map(str::trim).filter(|wanted| !wanted.is_empty())?;
    Some(wanted.to_lowercase())
}

/// What a column with lower-cased text is compared with, by `like … escape '!'`; `None` when nothing is wanted. For lists
/// that are short, or narrowed by something else.
pub(crate) fn pattern(wanted: Option<&str>) -> Option<String> {
    lowered(wanted).map(|wanted| containing(&wanted))
}

fn containing(wanted: &str) -> String {
    format!("%{}%", escape(wanted))
}

/// Appends the condition that one of these expressions is like the pattern.
pub(crate) fn push_any(query: &mut Query, lowered: &[&'static str], pattern: &str) {
    query.push(" and (false");
    for expression in lowered {
        query.push(" or ");
        query.push(expression);
        query.push(" like ");
        query.push_value(pattern);
        query.push(" escape '!'");
    }
    query.push(")");
}

/// Appends the condition that the text of a row has `wanted` in it.
pub(crate) fn push_text(query: &mut Query, wanted: &str) {
    query.push(" and search_text like ");
    query.push_value(containing(wanted));
    query.push(" escape '!'");
}

/// Chooses the way of searching for `wanted` among `kind`; `None` when nothing is wanted.
pub(crate) async fn plan(
    db: &mut Db<'_>,
    kind: &'static str,
    wanted: Option<&str>,
) -> Result<Option<Search>> {
    let Some(wanted) = lowered(wanted) else {
        return Ok(None);
    };
    let (mut apart, mut others) = pieces(&wanted);
    if apart.len() + others.len() <= COUNTED_AT_ONCE {
        apart.append(&mut others);
    }
    let mut rare = rarest(db, kind, &apart).await?;
    if rare.is_empty() {
        rare = rarest(db, kind, &others).await?;
    }
    let mut rare = rare.into_iter();
    let candidates = rare.next().map(|rarest| Candidates {
        kind,
        others: rare.next().map_or_else(
            || {
                let others = apart.into_iter().chain(others);
                let others = others.filter(|piece| *piece != rarest).take(ASKED_FOR);
                Others::Common(others.collect())
            },
            Others::Rare,
        ),
        rarest,
    });
    Ok(Some(Search { wanted, candidates }))
}

/// At most two of these pieces that few rows have, the rarest first.
async fn rarest(db: &mut Db<'_>, kind: &'static str, pieces: &[String]) -> Result<Vec<String>> {
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let mut counts = query("");
    let mut separator = "";
    for piece in pieces {
        counts.push(separator);
        counts.push("select ");
        counts.push_value(piece.as_str());
        counts.push(
            " as gram, count(*) as amount from (select 1 as one from search_grams where kind = ",
        );
        counts.push_value(kind);
        counts.push(" and gram = ");
        counts.push_value(piece.as_str());
        counts.push(" limit ");
        counts.push_value(COMMON);
        counts.push(") as found");
        separator = " union all ";
    }
    let mut rare = Vec::new();
    for row in db.rows(counts).await? {
        let (amount, gram): (i64, String) = (row.get("amount")?, row.get("gram")?);
        if amount < COMMON {
            rare.push((amount, gram));
        }
    }
    rare.sort_unstable();
    Ok(rare.into_iter().map(|(_, gram)| gram).take(2).collect())
}

impl Search {
    /// Appends the condition for a table whose `id` is a text.
    pub(crate) fn push(&self, query: &mut Query) {
        self.push_with(query, "entity_id");
    }

    /// Appends the condition for a table whose `id` is an integer.
    pub(crate) fn push_for_integers(&self, query: &mut Query) {
        self.push_with(query, "cast(entity_id as bigint)");
    }

    fn push_with(&self, query: &mut Query, id: &'static str) {
        if let Some(candidates) = &self.candidates {
            query.push(" and id in (select ");
            query.push(id);
            query.push(" from ");
            candidates.push(query);
            query.push(")");
        }
        push_text(query, &self.wanted);
    }
}

impl Candidates {
    /// Appends `found`, a table of their `entity_id`s.
    pub(crate) fn push(&self, query: &mut Query) {
        query.push("(select entity_id from search_grams as candidate where ");
        self.push_has(query, &self.rarest);
        match &self.others {
            Others::Rare(piece) => {
                query.push(" intersect select entity_id from search_grams where ");
                self.push_has(query, piece);
            }
            Others::Common(pieces) => {
                for piece in pieces {
                    query.push(" and (select 1 from search_grams as other where ");
                    self.push_has(query, piece);
                    query.push(" and other.entity_id = candidate.entity_id) = 1");
                }
            }
        }
        // The index is in this order, so that SQLite goes through two pieces once, side by side.
        query.push(" order by entity_id) as found");
    }

    fn push_has(&self, query: &mut Query, piece: &str) {
        query.push("kind = ");
        query.push_value(self.kind);
        query.push(" and gram = ");
        query.push_value(piece);
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '%' | '_' | '!') {
            escaped.push('!');
        }
        escaped.push(char);
    }
    escaped
}

/// The pieces of a wanted text: first those that lie side by side and the one at its end, which together are the whole
/// text and say the most with the fewest, then the others.
fn pieces(wanted: &str) -> (Vec<String>, Vec<String>) {
    let chars: Vec<char> = wanted.chars().take(INDEXED_CHARS).collect();
    let last = chars.len().saturating_sub(GRAM);
    let (mut apart, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (place, gram) in chars.windows(GRAM).enumerate() {
        let is_apart = place % GRAM == 0 || place == last;
        let set = if is_apart { &mut apart } else { &mut others };
        set.insert(gram.iter().collect::<String>());
    }
    let others = others.difference(&apart).take(LOOKED_AT).cloned().collect();
    (apart.into_iter().take(LOOKED_AT).collect(), others)
}

fn grams(text: &str) -> BTreeSet<String> {
    let chars: Vec<char> = text.chars().take(INDEXED_CHARS).collect();
    chars
        .windows(GRAM)
        .map(|gram| gram.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grams_are_the_distinct_triples() {
        let expected: BTreeSet<String> = ["ana", "ban", "nan"].map(str::to_owned).into();
        assert_eq!(grams("banana"), expected);
        assert!(grams("ab").is_empty());
    }

    #[test]
    fn pieces_side_by_side_are_the_whole_text() {
        let (apart, others) = pieces("0012345");
        assert_eq!(apart, ["001", "234", "345"]);
        assert_eq!(others, ["012", "123"]);
        assert_eq!(pieces("aaaaaa"), (vec!["aaa".to_owned()], Vec::new()));
        assert_eq!(pieces("ab"), (Vec::new(), Vec::new()));
    }

    #[test]
    fn wildcards_are_taken_literally() {
        assert_eq!(escape("50%_a!"), "50!%!_a!!");
        assert_eq!(pattern(Some(" A_ ")).as_deref(), Some("%a!_%"));
        assert_eq!(pattern(Some("  ")), None);
    }
}
