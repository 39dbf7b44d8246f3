//! Statements and rows that do not know which engine runs them.
//!
//! Both drivers take `$1` placeholders, so a statement is written once; its values and the rows that come back pass
//! through the closed enums here. This is the only place that tells the engines apart on the way of a statement.

use std::borrow::Cow;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query as SqlxQuery;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Postgres, Row as _, SqlSafeStr, SqlStr, Sqlite, Type};
use tollgate_domain::Timestamp;

use crate::error::{Result, StorageError};
use crate::page::PageRequest;

/// In an upsert: `column` becomes what is stored and what is inserted together, held at the ends of the range. Both
/// engines refuse a sum beyond it, and a fold that is refused once is refused for ever.
macro_rules! held_sum {
    ($table:literal, $column:literal) => {
        concat!(
            $column,
            " = case when excluded.",
            $column,
            " > 0 and ",
            $table,
            ".",
            $column,
            " > 9223372036854775807 - excluded.",
            $column,
            " then 9223372036854775807 when excluded.",
            $column,
            " < 0 and ",
            $table,
            ".",
            $column,
            " < -9223372036854775807 - excluded.",
            $column,
            " then -9223372036854775807 else ",
            $table,
            ".",
            $column,
            " + excluded.",
            $column,
            " end"
        )
    };
}
pub(crate) use held_sum;

/// A value of a statement. Nulls are typed, because PostgreSQL asks for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Bool(bool),
    Real(f64),
}

/// A statement with its values, or a part of one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// Most values in one statement: far below what either engine takes.
pub(crate) const MAX_VALUES: usize = 1_000;

/// The sizes of [`pieces`]. With 18 values each, the largest is far below the number of placeholders that both engines
/// take.
const SIZES: [usize; 6] = [243, 81, 27, 9, 3, 1];

/// A statement with more is one of many rows.
const FEW_VALUES: usize = 32;

/// Starts a statement.
pub(crate) const fn query(text: &'static str) -> Query {
    Query {
        text: Cow::Borrowed(text),
        values: Vec::new(),
    }
}

impl Query {
    /// The value of the next placeholder.
    #[must_use]
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// A typed id or another thing that is stored as its text.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "ids are handed over by reference and by value"
    )]
    pub(crate) fn bind_text(self, value: impl ToString) -> Self {
        self.bind(value.to_string())
    }

    /// As [`Self::bind_text`], or null.
    #[must_use]
    pub(crate) fn bind_opt_text(self, value: Option<impl ToString>) -> Self {
        self.bind(Value::Text(value.map(|value| value.to_string())))
    }

    /// Whether a value has a NUL character, which no stored text has: PostgreSQL cannot keep one, and would refuse the
    /// statement instead of finding nothing.
    pub(crate) fn has_unstorable_text(&self) -> bool {
        self.values
            .iter()
            .any(|value| matches!(value, Value::Text(Some(text)) if text.contains('\0')))
    }

    /// Whether nothing was written yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Appends fixed text.
    pub(crate) fn push(&mut self, text: &'static str) {
        self.text.to_mut().push_str(text);
    }

    /// Appends a placeholder for `value`.
    pub(crate) fn push_value(&mut self, value: impl Into<Value>) {
        self.values.push(value.into());
        let number = self.values.len();
        self.text.to_mut().extend(["$", &number.to_string()]);
    }

    /// Appends `($1, $2, …)` for `values`.
    pub(crate) fn push_list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) {
        let mut separator = "(";
        for value in values {
            self.push(separator);
            self.push_value(value);
            separator = ", ";
        }
        // No value at all: a list that nothing is in.
        self.push(if separator == "(" { "(null)" } else { ")" });
    }

    /// Appends the part of a list that is asked for.
    pub(crate) fn push_page(&mut self, page: PageRequest) {
        self.push(" limit ");
        self.push_value(i64::from(page.limit));
        self.push(" offset ");
        self.push_value(page.offset);
    }

    /// The text is made of `&'static str` pieces and placeholder numbers only; values never get into it.
    fn sql(text: Cow<'static, str>) -> SqlStr {
        match text {
            Cow::Borrowed(text) => text.into_sql_str(),
            Cow::Owned(text) => AssertSqlSafe(text).into_sql_str(),
        }
    }

    fn for_sqlite(self) -> SqlxQuery<'static, Sqlite, SqliteArguments> {
        let text = if self.values.len() > FEW_VALUES {
            without_numbers(self.text)
        } else {
            self.text
        };
        let start = sqlx::query::<Sqlite>(Self::sql(text));
        self.values
            .into_iter()
            .fold(start, |query, value| match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Real(value) => query.bind(value),
            })
    }

    fn for_postgres(self) -> SqlxQuery<'static, Postgres, PgArguments> {
        let start = sqlx::query::<Postgres>(Self::sql(self.text));
        self.values
            .into_iter()
            .fold(start, |query, value| match value {
                Value::Int(value) => query.bind(value),
                Value::Text(value) => query.bind(value),
                Value::Bytes(value) => query.bind(value),
                Value::Bool(value) => query.bind(value),
                Value::Real(value) => query.bind(value),
            })
    }
}

/// From `$1, $2, …` to `?, ?, …`, when that means the same: every value once, in its order. SQLite takes `$1` for a name,
/// and looks each name up among all before it.
fn without_numbers(text: Cow<'static, str>) -> Cow<'static, str> {
    let mut pieces = text.split('$');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (1_usize..).zip(pieces) {
        let digits = piece.len() - piece.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (found, rest) = piece.split_at(digits);
        if found.parse() != Ok(number) {
            return text;
        }
        plain.push('?');
        plain.push_str(rest);
    }
    Cow::Owned(plain)
}

/// Cuts rows into pieces of few different sizes, each three times the next: a statement for so many rows is prepared once
/// and used again, where one for every number of rows there can be would be prepared anew each time.
pub(crate) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = SIZES.iter().find(|size| **size <= rows.len()).copied()?;
        let (piece, rest) = rows.split_at(size);
        rows = rest;
        Some(piece)
    })
}

/// A connection of either engine.
pub(crate) enum Connection<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

impl Connection<'_> {
    pub(crate) async fn rows(self, query: Query) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite(connection) => query
                .for_sqlite()
                .fetch_all(connection)
                .await?
                .into_iter()
                .map(Row::Sqlite)
                .collect(),
            Self::Postgres(connection) => query
                .for_postgres()
                .fetch_all(connection)
                .await?
                .into_iter()
                .map(Row::Postgres)
                .collect(),
        })
    }

    pub(crate) async fn execute(self, query: Query) -> Result<u64> {
        Ok(match self {
            Self::Sqlite(connection) => query
                .for_sqlite()
                .execute(connection)
                .await?
                .rows_affected(),
            Self::Postgres(connection) => query
                .for_postgres()
                .execute(connection)
                .await?
                .rows_affected(),
        })
    }
}

/// A row of either engine.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T>
    where
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(|error| corrupt(column, error))
    }

    /// A text that is parsed: an id, a provider name.
    pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(
        &self,
        column: &'static str,
    ) -> Result<T> {
        self.get::<String>(column)?
            .parse()
            .map_err(|error| corrupt(column, error))
    }

    pub(crate) fn parse_opt<T: FromStr<Err: std::fmt::Display>>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>> {
        self.get::<Option<String>>(column)?
            .map(|text| text.parse().map_err(|error| corrupt(column, error)))
            .transpose()
    }

    pub(crate) fn instant(&self, column: &'static str) -> Result<Timestamp> {
        self.get(column).map(Timestamp::from_micros)
    }

    pub(crate) fn instant_opt(&self, column: &'static str) -> Result<Option<Timestamp>> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_micros))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T> {
        from_json(column, &self.get::<String>(column)?)
    }

    pub(crate) fn json_opt<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>> {
        self.get::<Option<String>>(column)?
            .map(|text| from_json(column, &text))
            .transpose()
    }

    /// A count or another number that is never negative.
    pub(crate) fn unsigned(&self, column: &'static str) -> Result<u64> {
        u64::try_from(self.get::<i64>(column)?).map_err(|error| corrupt(column, error))
    }
}

pub(crate) fn corrupt(column: &'static str, reason: impl std::fmt::Display) -> StorageError {
    StorageError::Corrupt {
        column,
        reason: reason.to_string(),
    }
}

pub(crate) fn from_json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| corrupt(column, error))
}

/// The stored text of `value`.
pub(crate) fn to_json<T: serde::Serialize>(column: &'static str, value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| corrupt(column, error))
}

macro_rules! values {
    ($($from:ty => |$it:ident| $into:expr;)+) => {$(
        impl From<$from> for Value {
            fn from($it: $from) -> Self {
                $into
            }
        }
    )+};
}

values! {
    i64 => |it| Self::Int(Some(it));
    Option<i64> => |it| Self::Int(it);
    // Counts beyond the range of a column are held at its end; none comes near it.
    u64 => |it| Self::Int(Some(i64::try_from(it).unwrap_or(i64::MAX)));
    Timestamp => |it| Self::Int(Some(it.as_micros()));
    Option<Timestamp> => |it| Self::Int(it.map(Timestamp::as_micros));
    &str => |it| Self::Text(Some(it.to_owned()));
    String => |it| Self::Text(Some(it));
    Option<&str> => |it| Self::Text(it.map(str::to_owned));
    Option<String> => |it| Self::Text(it);
    &[u8] => |it| Self::Bytes(Some(it.to_vec()));
    [u8; 32] => |it| Self::Bytes(Some(it.to_vec()));
    Option<[u8; 32]> => |it| Self::Bytes(it.map(|it| it.to_vec()));
    Vec<u8> => |it| Self::Bytes(Some(it));
    bool => |it| Self::Bool(it);
    f64 => |it| Self::Real(it);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_placeholders_in_their_order_lose_their_numbers() {
        let plain = |text: &'static str| without_numbers(Cow::Borrowed(text));
        assert_eq!(
            plain("values ($1, $2), ($3, $4) on conflict"),
            "values (?, ?), (?, ?) on conflict"
        );
        assert_eq!(
            plain("$1,$2,$3,$4,$5,$6,$7,$8,$9,$10"),
            "?,?,?,?,?,?,?,?,?,?"
        );
        for kept in [
            "a = $1 or b = $1",
            "a = $2 or b = $1",
            "a = '$.path'",
            "$",
            "",
        ] {
            assert_eq!(plain(kept), kept);
        }
    }

    #[test]
    fn pieces_are_all_rows_in_their_order() {
        for count in 0..800 {
            let rows: Vec<usize> = (0..count).collect();
            let cut: Vec<&[usize]> = pieces(&rows).collect();
            assert_eq!(cut.concat(), rows);
            assert!(cut.len() <= 14, "{count}");
            assert!(cut.iter().all(|piece| SIZES.contains(&piece.len())));
        }
    }
}
