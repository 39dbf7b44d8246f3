//! Search in names that does not read whole tables.
//!
//! Every searchable row keeps its lower-cased text in `search_text`, and every three-letter piece of it in
//! `search_grams`. A search takes the candidates that have the rarest piece of the wanted text, and compares only
//! those. When every piece is common, so are the matches, and walking the list in its own order finds a page soon.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::sql::{Query, query};
use crate::tx::{Db, Tx};

const GRAM: usize = 3;
/// A piece that more rows have than this selects too little to be worth a look-up.
const COMMON: i64 = 2_000;
/// Only so much of a text is indexed; names are shorter.
const INDEXED_CHARS: usize = 512;

/// The text that is searched for a row with these parts.
pub(crate) fn text(parts: &[&str]) -> String {
    parts.join("\n").to_lowercase()
}

/// Makes `id` findable by `text`, and no longer by what it was findable by before.
pub(crate) async fn index(tx: &mut Tx, kind: &'static str, id: &str, text: &str) -> Result<()> {
    remove(tx, kind, id).await?;
    let grams: Vec<String> = grams(text).into_iter().collect();
    // Two values a row, far below the number of placeholders that both engines take.
    for piece in grams.chunks(200) {
        let mut insert = query("insert into search_grams (kind, gram, entity_id) values ");
        let mut separator = "";
        for gram in piece {
            insert.push(separator);
            insert.push_list([kind, gram, id]);
            separator = ", ";
        }
        tx.execute(insert).await?;
    }
    Ok(())
}

/// Makes `id` unfindable.
pub(crate) async fn remove(tx: &mut Tx, kind: &'static str, id: &str) -> Result<()> {
    tx.execute(
        query("delete from search_grams where kind = $1 and entity_id = $2")
            .bind(kind)
            .bind(id),
    )
    .await
    .map(drop)
}

/// A search, with its way through the index chosen.
pub(crate) struct Search {
    kind: &'static str,
    wanted: String,
    rarest: Option<String>,
}

/// What a column with lower-cased text is compared with, by `like … escape '!'`; `None` when nothing is wanted. For lists
/// that are short, or narrowed by something else.
pub(crate) fn pattern(wanted: Option<&str>) -> Option<String> {
    let wanted = wanted.map(str::trim).filter(|wanted| !wanted.is_empty())?;
    Some(format!("%{}%", escape(&wanted.to_lowercase())))
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

/// Chooses the way of searching for `wanted` among `kind`; `None` when nothing is wanted.
pub(crate) async fn plan(
    db: &mut Db<'_>,
    kind: &'static str,
    wanted: Option<&str>,
) -> Result<Option<Search>> {
    let Some(wanted) = wanted.map(str::trim).filter(|wanted| !wanted.is_empty()) else {
        return Ok(None);
    };
    let wanted = wanted.to_lowercase();
    let mut rarest = None;
    let mut fewest = COMMON;
    for gram in grams(&wanted) {
        let found = db
            .count(
                query(
                    "select count(*) as amount from
                     (select 1 as one from search_grams where kind = $1 and gram = $2 limit $3) as found",
                )
                .bind(kind)
                .bind(gram.as_str())
                .bind(fewest),
            )
            .await?;
        if i64::try_from(found).is_ok_and(|found| found < fewest) {
            fewest = i64::try_from(found).unwrap_or(COMMON);
            rarest = Some(gram);
        }
    }
    Ok(Some(Search {
        kind,
        wanted,
        rarest,
    }))
}

impl Search {
    /// Appends the condition for a table whose `id` is a text.
    pub(crate) fn push(&self, query: &mut Query) {
        self.push_with(
            query,
            " and id in (select entity_id from search_grams where kind = ",
        );
    }

    /// Appends the condition for a table whose `id` is an integer.
    pub(crate) fn push_for_integers(&self, query: &mut Query) {
        self.push_with(
            query,
            " and id in (select cast(entity_id as bigint) from search_grams where kind = ",
        );
    }

    fn push_with(&self, query: &mut Query, candidates: &'static str) {
        if let Some(gram) = &self.rarest {
            query.push(candidates);
            query.push_value(self.kind);
            query.push(" and gram = ");
            query.push_value(gram.as_str());
            query.push(")");
        }
        query.push(" and search_text like ");
        query.push_value(format!("%{}%", escape(&self.wanted)));
        query.push(" escape '!'");
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
    fn wildcards_are_taken_literally() {
        assert_eq!(escape("50%_a!"), "50!%!_a!!");
        assert_eq!(pattern(Some(" A_ ")).as_deref(), Some("%a!_%"));
        assert_eq!(pattern(Some("  ")), None);
    }
}
